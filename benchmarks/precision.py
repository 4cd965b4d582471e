"""What bf16 products change: trainings in fp32 and bf16 of the same rows and seeds, on sealed items.

    python benchmarks/precision.py DIR --data REALDATA [--base tiny] [--method lora] [--trainings 4]

The tickets example (rows of a seed of its generator), every figure by training: the share of fields right on
150 sealed items, the guard's questions and texts (as in ``replay.py``, without general rows), and seconds of
training. Needs a processor with AVX512-BF16. An interrupted call goes on where it stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from replay import (
    METRICS,
    Trained,
    add_options,
    compare,
    measure_model,
    prepare_project,
    tell,
    write_figure,
)
from residency import Project
from residency.loop.fine_tune import fine_tune_base
from residency.store.record_kind import RecordKind

PRECISIONS = ("fp32", "bf16")


def train_once(folder: Path, precision: str, number: int) -> tuple[Trained, float]:
    """One training with this seed: its figures, and its seconds."""
    overrides = {"train.precision": precision, "train.replay": 0.0}
    project = Project.open(folder, overrides=overrides, progress=tell)
    name = f"{precision}, training {number}"
    with project.store.writer("precision"):
        model = fine_tune_base(
            project,
            project.split("train"),
            round_=1,
            arm="main",
            parent=None,
            note=name,
            seed=number,
            stage=f"{name}: train",
        )
        trained = measure_model(project, model, name)
    seconds = float(project.store.records(RecordKind.TRAINING, model.id)[-1]["seconds"])
    print(name, round(trained.right, 4), round(seconds, 1), flush=True)
    return trained, seconds


def write_table(arms: dict[str, list[Trained]], seconds: dict[str, list[float]]) -> str:
    """A Markdown table: a figure a row, fp32, bf16, and the difference over trainings."""
    wide, narrow = (arms[precision] for precision in PRECISIONS)
    lines = ["| | fp32 | bf16 | difference |", "|---|---|---|---|"]
    for task, (_, scale) in METRICS.items():
        values = [[one.guard[task] for one in arm] for arm in (wide, narrow)]
        shown = " | ".join(write_figure(float(np.mean(side)), scale) for side in values)
        lines.append(f"| {task} | {shown} | {compare(*values, scale)} |")
    rights = [[one.right for one in arm] for arm in (wide, narrow)]
    shown = " | ".join(write_figure(float(np.mean(side)), 100.0) for side in rights)
    lines.append(f"| tickets: fields right | {shown} | {compare(*rights, 100.0)} |")
    times = [float(np.median(seconds[precision])) for precision in PRECISIONS]
    lines.append(f"| seconds | {times[0]:.1f} | {times[1]:.1f} | {times[0] / times[1]:.2f} times |")
    return "\n".join(lines)


def main() -> None:
    """Read the command line, train in turns, print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    add_options(parser, method="lora", layers="top-10", rate=2e-3)
    options = parser.parse_args()
    prepare_project(options)
    arms: dict[str, list[Trained]] = {precision: [] for precision in PRECISIONS}
    seconds: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for number in range(1, options.trainings + 1):
        for precision in PRECISIONS:
            trained, took = train_once(options.folder, precision, number)
            arms[precision].append(trained)
            seconds[precision].append(took)
    print(f"{options.base}, {options.method}, {options.trainings} trainings each\n")
    print(write_table(arms, seconds))


if __name__ == "__main__":
    main()
