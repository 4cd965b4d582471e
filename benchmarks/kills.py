"""Ends a run many times over and compares what comes out bit for bit.

    python benchmarks/kills.py DIR --times 1000            # the tickets example on tiny (hours)
    python benchmarks/kills.py DIR --times 100 --small     # a project of a few rows (minutes)

Every run is ended at random moments, at random durable operations (each rename, removal, file opened
for writing and database commit, by SIGKILL or SIGTERM), or by a disk that is full, until it is
complete; then weights, verdicts and the sealed test are compared with those of an undisturbed run. At
the end one line: runs, ends by kind, differences.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "helpers"))

from kills import read_essence, run_and_end
from small import save_model, save_project

WAYS = ("moment", "operation", "terminate", "full disk")
CONTEXT = multiprocessing.get_context("forkserver")


def make_project(folder: Path, model: Path | None) -> Path:
    """The tickets example on ``tiny``, or a small project on a random model."""
    if model is not None:
        return save_project(folder, model)
    from residency.commands.init import init

    init(folder, example="tickets")
    settings = folder / "residency.toml"
    settings.write_text(
        settings.read_text(encoding="utf-8").replace("smollm2-135m", "tiny"), encoding="utf-8"
    )
    return folder


def run_with_full_disk(folder: str, size: int) -> None:
    """In a child: no file may grow beyond ``size`` bytes."""
    from limits import files_of_at_most
    from residency.cli.invoke import run_command_line

    with files_of_at_most(size):
        raise SystemExit(run_command_line(["run", folder]))


def end_once(folder: Path, way: str, operations: int, seconds: float, draw: random.Random) -> int:
    """One attempt at the run, ended in one way; its exit code (0: it came to its end)."""
    if way == "full disk":
        size = draw.randrange(1 << 12, 1 << 21)
        process = CONTEXT.Process(target=run_with_full_disk, args=(str(folder), size))
    else:
        number = draw.randrange(1, operations) if way != "moment" else 0
        kind = signal.SIGTERM if way == "terminate" else signal.SIGKILL
        process = CONTEXT.Process(target=run_and_end, args=(str(folder), number, kind))
    process.start()
    process.join(draw.uniform(0, seconds) if way == "moment" else None)
    if process.is_alive():
        process.kill()
        process.join()
    return int(process.exitcode or 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="a new folder to work in")
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--small", action="store_true", help="a small project on a random model")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    CONTEXT.set_forkserver_preload(["residency.loop.run_loop", "residency.train.train_loop"])
    model = save_model(options.folder / "model") if options.small else None
    whole = make_project(options.folder / "whole", model)
    counted = options.folder / "count"
    began = time.monotonic()
    first = CONTEXT.Process(target=run_and_end, args=(str(whole), 0, signal.SIGKILL, str(counted)))
    first.start()
    first.join()
    seconds, operations = time.monotonic() - began, int(counted.read_text(encoding="utf-8"))
    expected = read_essence(whole)
    draw = random.Random(options.seed)
    ends: Counter[str] = Counter()
    runs, differences = 0, []
    while ends.total() < options.times:
        folder = make_project(options.folder / f"run-{runs}", model)
        runs += 1
        while True:
            way = draw.choice(WAYS)
            code = end_once(folder, way, operations, seconds, draw)
            if code == 0 and read_essence(folder)["complete"]:
                break
            ends[way] += 1
            if code not in (0, 2, 143, -signal.SIGKILL, -signal.SIGTERM):
                differences.append(f"{folder.name}: exit {code} by {way}")
        if read_essence(folder) != expected:
            differences.append(f"{folder.name}: other results")
        else:
            shutil.rmtree(folder)
        print(f"run {runs}: {dict(ends)}, {len(differences)} differences", file=sys.stderr)
    print(
        json.dumps(
            {"runs": runs, "operations": operations, "ends": ends, "differences": differences}
        )
    )


if __name__ == "__main__":
    main()
