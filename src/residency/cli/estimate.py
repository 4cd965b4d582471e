"""``residency estimate``: memory and time before a training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from residency.cli.steps import Directory, Json, opened
from residency.cli.terminal import ProgressDisplay, console, print_json

if TYPE_CHECKING:
    from residency.train.estimate import Estimate


def estimate(
    directory: Directory = Path(),
    check: Annotated[
        int, typer.Option(help="Also run so many real steps and show the estimate's error.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Predict peak memory and time of training on the project's rows, by a small probe.

    Example: residency estimate demo --check 10
    """
    from residency.commands import estimate as rounds

    with ProgressDisplay() as progress:
        found = rounds.estimate(opened(directory, progress), check_steps=check)
    if as_json:
        print_json(json.dumps(found.to_dict()))
        return
    for line in lines(found):
        console.print(line, highlight=False)


def lines(found: Estimate) -> list[str]:
    """What people read."""
    out = [
        f"memory  {_size(found.memory)}  ("
        + ", ".join(f"{name} {_size(size)}" for name, size in _parts(found) if size)
        + ")",
        f"time    {_time(found.seconds)}  ({found.steps} steps of {found.step_seconds:.2f} s"
        + (f", frozen layers once {_time(found.frozen_seconds)})" if found.frozen_seconds else ")"),
    ]
    if found.memory_error is not None and found.time_error is not None:
        out.append(
            f"real    {_size(found.measured_memory)}, {found.measured_step_seconds:.2f} s a step: "
            f"the estimate was off by {found.memory_error:+.0%} and {found.time_error:+.0%}"
        )
    return out


def _parts(found: Estimate) -> list[tuple[str, int]]:
    return [
        ("program and data", found.program),
        ("model", found.model),
        ("training", found.training),
        ("mapped cache", found.cache),
    ]


def _size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
