"""``residency estimate``: memory and time before a training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from residency.cli.options import Directory, Json, open_project
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import console, print_json
from residency.text.counts import write_count

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
        estimated = estimate(open_project(directory, progress), check_steps=check)
    if as_json:
        print_json(json.dumps(estimated.to_dict()))
        return
    for line in describe_estimate(estimated):
        console.print(line)


def describe_estimate(estimate: Estimate) -> list[str]:
    """What people read."""
    out = [
        f"memory  {format_size(estimate.memory)}  ("
        + ", ".join(f"{name} {format_size(size)}" for name, size in _list_parts(estimate) if size)
        + ")",
        f"time    {format_duration(estimate.seconds)}  ({write_count(estimate.steps, 'step')} of {estimate.step_seconds:.2f} s"
        + (
            f", frozen layers once {format_duration(estimate.frozen_seconds)})"
            if estimate.frozen_seconds
            else ")"
        ),
    ]
    if estimate.memory_error is not None and estimate.time_error is not None:
        out.append(
            f"real    {format_size(estimate.measured_memory)}, {estimate.measured_step_seconds:.2f} s a step: "
            f"the estimate was off by {estimate.memory_error:+.0%} and {estimate.time_error:+.0%}"
        )
    return out


def _list_parts(estimate: Estimate) -> list[tuple[str, int]]:
    return [
        ("program and data", estimate.program),
        ("model", estimate.model),
        ("training", estimate.training),
        ("mapped cache", estimate.cache),
    ]


def format_size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def format_duration(seconds: float) -> str:
    minutes, seconds_over = divmod(round(seconds), 60)
    return f"{minutes} min {seconds_over} s" if minutes else f"{seconds_over} s"
