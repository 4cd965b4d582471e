"""Functions that tests run as jobs, in this process and in others."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from residency.errors import DataError
from residency.jobs.job import JobContext


def add_numbers(arguments: dict[str, Any], context: JobContext) -> Any:
    """The sum of its number and of what it waited for; a line in a log says that it ran."""
    log = context.place.get("log")
    if log:
        with Path(log).open("a") as lines:
            lines.write(f"{arguments['number']}\n")
    time.sleep(context.place.get("seconds", 0))
    total = arguments["number"] + sum(result.value["sum"] for result in context.needs.values())
    (context.out / "sum.txt").write_text(str(total))
    for name, folder in context.needed_files.items():
        assert (folder / "sum.txt").read_text() == str(context.needs[name].value["sum"])
    return {"sum": total}


def die_at_first(arguments: dict[str, Any], context: JobContext) -> Any:
    """Killed at its first attempt, in the middle; the second goes on from what the first left."""
    step = context.work / "step"
    if not step.exists():
        step.write_text("1")
        (context.out / "half").write_text("written by the attempt that died")
        os.kill(os.getpid(), signal.SIGKILL)
    return {"from": step.read_text(), "files": sorted(p.name for p in context.out.iterdir())}


def die_always(arguments: dict[str, Any], context: JobContext) -> Any:
    """What runs out of memory each time."""
    os.kill(os.getpid(), signal.SIGKILL)


def fail(arguments: dict[str, Any], context: JobContext) -> Any:
    """An error of the user's."""
    raise DataError("a row is wrong", where="train.jsonl:3", next_step="mend it")
