"""``residency train``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from residency.cli.json_output import to_jsonable
from residency.cli.options import Directory, Json, MetricName, open_project
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import console, print_json, print_line, quote_path
from residency.text.percent import write_percent


def train_command(
    directory: Directory = Path(),
    issue: Annotated[
        list[str] | None, typer.Option(help="Add the accepted rows of this issue; may repeat.")
    ] = None,
    extend: Annotated[
        float, typer.Option(min=0, help="Go on with the last such training: epochs to add.")
    ] = 0.0,
    metric: MetricName = "",
    as_json: Json = False,
) -> None:
    """Train once on the train split (and on targeted rows), and keep the adapter.

    Example: residency train demo --issue is-1a2b3c

    Example: residency train demo --extend 2

    Example: residency train demo --metric primary
    """
    from residency.store.record_kind import RecordKind

    with ProgressDisplay() as progress:
        project = open_project(directory, progress, metric=metric)
        model = project.train(issues=issue or [], extend=extend)
        folder = project.store.artifacts.folder(model.adapter) if model.adapter else None
        training = project.store.records(RecordKind.TRAINING, model.id)[-1]
    if as_json:
        print_json(
            json.dumps(to_jsonable({"model": model, "adapter": str(folder), "training": training}))
        )
        return
    console.print(f"model {model.id}\nadapter {folder}", soft_wrap=True)
    console.print(f"losses {folder}/loss.json", soft_wrap=True)
    if chosen := describe_choice(project.config.train.metric, training):
        console.print(chosen)
    if off := training.get("estimate"):
        console.print(
            f"the estimate was off by {off['memory_error']:+.0%} in memory "
            f"and {off['time_error']:+.0%} in time",
        )
    print_line(f"Next: residency eval {quote_path(directory)} --model {model.id}")


def describe_choice(metric: str, training: dict[str, Any]) -> str:
    """Which step's weights stay, and by what; nothing where nothing was evaluated."""
    scores = dict(training.get("evaluations") or [])
    best = training.get("best_step")
    if best not in scores:
        return ""
    what = f"{metric} {write_percent(scores[best])}" if metric else f"loss {-scores[best]:.4f}"
    return (
        f"step {best} of {training['steps']} is kept: {what}, the best of {len(scores)} evaluations"
    )
