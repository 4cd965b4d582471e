"""Whether a version is slower than another: commands of both, one after the other, on one machine.

    python benchmarks/stages.py OTHER [--rows 20000] [--times 5]

OTHER is a checkout of another version (``git worktree add OTHER REVISION``). Each command runs in
turns, first one version, then the other, and its processor seconds (user and system, of all its
processes) are compared by their minimum, which other work on the machine disturbs least. Both keep
compiled modules, as an installed package does, whatever PYTHONDONTWRITEBYTECODE says here. The run
is the tickets example with ``tiny``, one round and small limits.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from data import write

HERE = Path(__file__).resolve().parents[1]
LIMITS = {"train": 60, "dev": 60, "test": 30, "pool": 200}


def run_command(checkout: Path, arguments: list[str], modules: Path) -> float:
    """Processor seconds of ``residency ARGUMENTS`` as this checkout has it.

    ``modules`` is the folder for compiled modules.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout / "src"),
        "PYTHONPYCACHEPREFIX": str(modules),
        "PYTHONDONTWRITEBYTECODE": "",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "residency", *arguments],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{checkout}: residency {' '.join(arguments)}\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def prepare_project(checkout: Path, folder: Path, modules: Path) -> None:
    """The example, small: one round, few rows, one thread."""
    run_command(checkout, ["init", str(folder), "--example", "tickets"], modules)
    settings = folder / "residency.toml"
    text = settings.read_text(encoding="utf-8")
    limits = ", ".join(f"{name} = {count}" for name, count in LIMITS.items())
    text, found = re.subn(r"(?m)^limit = \{.*\}$", f"limit = {{ {limits} }}", text)
    text, rounds = re.subn(r"(?m)^max = \d+", "max = 1", text)
    if not found or not rounds:
        raise SystemExit(f"{settings}: data.limit or rounds.max is written otherwise")
    settings.write_text(text, encoding="utf-8")


def compare(checkouts: dict[str, Path], times: int, rows: int, work: Path) -> None:
    """Print a line for each command."""
    data = write(work / "rows.jsonl", rows)
    projects = {name: work / name for name in checkouts}
    modules = work / "modules"
    for name, checkout in checkouts.items():
        prepare_project(checkout, projects[name], modules)
    commands: dict[str, Callable[[str], list[str]]] = {
        "--help": lambda _: ["--help"],
        f"check, {rows} rows": lambda name: ["check", str(data), "--out", str(work / f"c-{name}")],
        "run, 1 round": lambda name: ["run", str(projects[name]), "--base", "tiny"],
        "run, nothing to do": lambda name: ["run", str(projects[name]), "--base", "tiny"],
        "status": lambda name: ["status", str(projects[name])],
        "report": lambda name: ["report", str(projects[name])],
    }
    once = "run, 1 round"
    print(f"| processor seconds, minimum of {times} | {' | '.join(checkouts)} | ratio |")
    print("|---|" + "---|" * (len(checkouts) + 1))
    for title, make in commands.items():
        seconds: dict[str, list[float]] = {name: [] for name in checkouts}
        if title != once:  # the first call of a command compiles what it imports
            for name, checkout in checkouts.items():
                run_command(checkout, make(name), modules)
        for _ in range(1 if title == once else times):
            for name, checkout in checkouts.items():
                seconds[name].append(run_command(checkout, make(name), modules))
        best = [min(values) for values in seconds.values()]
        print(f"| {title} | {' | '.join(f'{s:.2f}' for s in best)} | {best[1] / best[0]:.2f} |")
        sys.stdout.flush()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path, help="checkout of the version to compare with")
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        versions = {"other": options.other.resolve(), "this": HERE}
        compare(versions, options.times, options.rows, Path(work))


if __name__ == "__main__":
    main()
