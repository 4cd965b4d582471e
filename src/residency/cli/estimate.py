"""``residency estimate``: memory and time before a training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from residency.cli.options import Directory, Json, open_project
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import console, print_json

if TYPE_CHECKING:
    from residency.train.estimate import Estimate


def estimate_command(
    directory: Directory = Path(),
    check: Annotated[
        int,
        typer.Option(
            min=0,
            show_default=False,
            help="Also run so many real steps and show the estimate's error.",
        ),
    ] = 0,
    as_json: Json = False,
) -> None:
    """Predict peak memory and time of training on the project's rows, by a small probe.

    Example: residency estimate demo --check 10
    """
    from residency.commands.estimate import estimate

    with ProgressDisplay() as progress:
        found = estimate(open_project(directory, progress), check_steps=check)
    if as_json:
        print_json(json.dumps(found.to_dict()))
        return
    for line in describe_estimate(found):
        console.print(line)


def describe_estimate(found: Estimate) -> list[str]:
    """What people read."""
    out = [
        f"memory  {format_size(found.memory)}  ("
        + ", ".join(f"{name} {format_size(size)}" for name, size in _list_parts(found) if size)
        + ")",
        f"time    {format_duration(found.seconds)}  ({found.steps} steps of {found.step_seconds:.2f} s"
        + (
            f", frozen layers once {format_duration(found.frozen_seconds)})"
            if found.frozen_seconds
            else ")"
        ),
    ]
    if found.memory_error is not None and found.time_error is not None:
        out.append(
            f"real    {format_size(found.measured_memory)}, {found.measured_step_seconds:.2f} s a step: "
            f"the estimate was off by {found.memory_error:+.0%} and {found.time_error:+.0%}"
        )
    return out


def _list_parts(found: Estimate) -> list[tuple[str, int]]:
    return [
        ("program and data", found.program),
        ("model", found.model),
        ("training", found.training),
        ("mapped cache", found.cache),
    ]


def format_size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def format_duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
