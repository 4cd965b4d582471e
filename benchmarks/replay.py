"""What general rows keep: trainings with and without them, on general questions and on the task.

    python benchmarks/replay.py DIR --data REALDATA [--base tiny] [--method full] [--rate 5e-4]
        [--share 0 --share 0.1 --share 0.3] [--trainings 4] [--seed 1]

The task is the tickets example (rows of a seed of its generator). The general rows are the instruction
rows of a public demo file (``instr_llamafactory_demo/data/alpaca_en_demo.json``); a fifth of them is
held out and never trained. Each share is trained several times, with other seeds and other draws of
general rows, and every model is asked the guard's questions: ``everyday``, HellaSwag (200 items,
``bench_hellaswag``), the held-out general rows and web text (``c4_demo.jsonl``), the last two as bits a
byte. Tests compare trainings, not items. DIR is a project like any other; an interrupted call goes
on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from residency import Project
from residency.examples.tickets.generate import make_rows
from residency.interfaces import ProgressEvent
from residency.loop.assess import answer_and_assess
from residency.loop.fine_tune import fine_tune_base
from residency.loop.measure_benchmarks import measure_benchmarks
from residency.loop.replay_rows import mix_replay
from residency.nouns.model import Model
from residency.project.general_rows import choose_general_rows
from residency.project.named_models import register_base_model

EXAMPLE = Path(__file__).resolve().parents[1] / "src" / "residency" / "examples" / "tickets"
SIZES = {"train": 260, "dev": 60, "test": 150, "pool": 60}
SETTINGS = """\
[project]
name = "replay"
[model]
base = "{base}"
max_length = 320
[data]
train = ["data/train.jsonl"]
dev = ["data/dev.jsonl"]
test = ["data/test.jsonl"]
pool = ["data/pool.jsonl"]
replay = ["data/general.jsonl"]
benchmarks = "{data}"
[train]
method = "{method}"
layers = "{layers}"
learning_rate = {rate}
epochs = {epochs}
batch_size = 8
[generate]
max_new_tokens = 96
[evaluate]
suite = "suite.toml"
few_shot = 0
[rounds]
guard = ["everyday", "hellaswag", "general.toml", "web.toml"]
guard_items = 200
"""
TASK = """\
task = "{name}"
output_type = "loglikelihood_rolling"
dataset_path = "json"
dataset_kwargs = {{data_files = {{test = "data/{name}.jsonl"}}}}
test_split = "test"
doc_to_text = ""
doc_to_target = "{{{{text}}}}"
metric_list = [{{metric = "bits_per_byte"}}]
"""
METRICS = {
    "everyday": ("acc", 100.0),
    "hellaswag": ("acc_norm", 100.0),
    "general": ("bits_per_byte", 1.0),
    "web": ("bits_per_byte", 1.0),
}
"""The figure that is told of each task, and what it is multiplied by."""


@dataclass(frozen=True)
class Trained:
    """A training's figures: those of the guard by task, and the share of fields right in the tickets."""

    guard: dict[str, float]
    right: float


def write_lines(path: Path, rows: Sequence[dict[str, object]]) -> None:
    """Rows as JSON lines."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")


def prepare_project(options: argparse.Namespace) -> None:
    """Write settings and files, where they are not there yet."""
    folder: Path = options.folder
    if (folder / "residency.toml").exists():
        return
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    for split, size in SIZES.items():
        write_lines(data / f"{split}.jsonl", make_rows(split, size, seed=options.seed))
    demo = options.data / "instr_llamafactory_demo" / "data"
    general = json.loads((demo / "alpaca_en_demo.json").read_text(encoding="utf-8"))
    held_out = general[::5][:100]
    trained = [row for number, row in enumerate(general) if number % 5]
    write_lines(data / "general.jsonl", trained)
    texts = [f"{row['instruction']}\n{row['input']}\n{row['output']}" for row in held_out]
    write_lines(folder / "data" / "general_held_out.jsonl", [{"text": text} for text in texts])
    web = (demo / "c4_demo.jsonl").read_text(encoding="utf-8").splitlines()[:100]
    write_lines(data / "web.jsonl", [{"text": json.loads(line)["text"][:1500]} for line in web])
    general_task = TASK.format(name="general").replace(
        "data/general.jsonl", "data/general_held_out.jsonl"
    )
    (folder / "general.toml").write_text(general_task, encoding="utf-8")
    (folder / "web.toml").write_text(TASK.format(name="web"), encoding="utf-8")
    (folder / "suite.toml").write_bytes((EXAMPLE / "suite.toml").read_bytes())
    values = vars(options) | {"data": options.data.resolve()}
    (folder / "residency.toml").write_text(SETTINGS.format(**values), encoding="utf-8")


def tell(event: ProgressEvent) -> None:
    """One line when a stage ends."""
    if event.total and event.done == event.total and event.unit in ("steps", "answers"):
        print(f"  {event.stage}: {event.done} {event.unit}", flush=True)


def measure_model(project: Project, model: Model, name: str) -> Trained:
    """The guard's figures, and the tickets of the sealed rows."""
    guard = project.config.rounds
    report = measure_benchmarks(
        project, guard.guard, [(name, model)], limit=guard.guard_items, shots=0
    )
    metrics = report.models[0].result.metrics
    figures = {task: metrics[task][metric].value for task, (metric, _) in METRICS.items()}
    sealed = answer_and_assess(project, model, "test", stage=f"{name}: test")
    primary = sealed.scores.primary
    return Trained(figures, primary.floor if primary else 0.0)


def train_share(folder: Path, share: float, number: int) -> Trained:
    """One training of this share: a seed and a draw of general rows of its own."""
    project = Project.open(folder, overrides={"train.replay": share}, progress=tell)
    general = choose_general_rows(project, project.split("replay"), seed=number)
    project.general_rows = general  # another draw for each training
    rows = mix_replay(project, project.split("train"))
    name = f"share {share:g}, training {number}"
    with project.store.writer("replay"):
        model = fine_tune_base(
            project,
            rows,
            round_=1,
            arm="main",
            parent=None,
            note=name,
            seed=number,
            stage=f"{name}: train",
        )
        trained = measure_model(project, model, name)
    print(name, {task: round(value, 4) for task, value in trained.guard.items()}, flush=True)
    return trained


def compare(without: Sequence[float], having: Sequence[float], scale: float) -> str:
    """The difference of two arms' means with Welch's 95 % interval and p, over trainings."""
    test = stats.ttest_ind(having, without, equal_var=False)
    low, high = test.confidence_interval(0.95)
    delta = float(np.mean(having) - np.mean(without))
    digits = 1 if scale > 1 else 3
    return (
        f"{scale * delta:+.{digits}f} [{scale * low:+.{digits}f}, {scale * high:+.{digits}f}], "
        f"p {test.pvalue:.3f}"
    )


def write_table(base: Trained, arms: dict[float, list[Trained]]) -> str:
    """A Markdown table: a row a share, the base first; differences against the first share."""
    names = [*METRICS, "tickets: fields right"]
    lines = [
        f"| general rows | {' | '.join(names)} |",
        f"|---{'|---' * len(names)}|",
        "| base | "
        + " | ".join(write_figure(base.guard[task], scale) for task, (_, scale) in METRICS.items())
        + f" | {100 * base.right:.1f} |",
    ]
    first = next(iter(arms.values()))
    for share, trainings in arms.items():
        cells = []
        for task, (_, scale) in METRICS.items():
            values = [one.guard[task] for one in trainings]
            cell = write_figure(float(np.mean(values)), scale)
            if trainings is not first:
                cell += f" ({compare([one.guard[task] for one in first], values, scale)})"
            cells.append(cell)
        right = [one.right for one in trainings]
        cell = f"{100 * float(np.mean(right)):.1f}"
        if trainings is not first:
            cell += f" ({compare([one.right for one in first], right, 100.0)})"
        lines.append(f"| {100 * share:.0f} % | {' | '.join([*cells, cell])} |")
    return "\n".join(lines)


def write_figure(value: float, scale: float) -> str:
    """A share in per cent, or bits a byte."""
    return f"{scale * value:.1f}" if scale > 1 else f"{value:.3f}"


def add_options(parser: argparse.ArgumentParser, **defaults: str | float) -> None:
    """What the project is made of and how it is trained, with these defaults."""
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base", default="tiny")
    parser.add_argument("--method", default=defaults["method"])
    parser.add_argument("--layers", default=defaults["layers"])
    parser.add_argument("--rate", type=float, default=defaults["rate"])
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--trainings", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)


def main() -> None:
    """Read the command line, train, print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    add_options(parser, method="full", layers="all", rate=5e-4)
    parser.add_argument("--share", type=float, action="append", default=[])
    options = parser.parse_args()
    prepare_project(options)
    project = Project.open(options.folder, progress=tell)
    with project.store.writer("replay"):
        base = measure_model(project, register_base_model(project), "base")
    arms: dict[float, list[Trained]] = {share: [] for share in options.share or [0.0, 0.1, 0.3]}
    for number in range(1, options.trainings + 1):
        for share, trainings in arms.items():
            trainings.append(train_share(options.folder, share, number))
    print(
        f"{options.base}, {options.method}, {options.rate:g}, {options.epochs:g} epochs, ", end=""
    )
    print(f"{options.trainings} trainings each\n")
    print(write_table(base, arms))


if __name__ == "__main__":
    main()
