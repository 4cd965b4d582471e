"""``residency run``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from residency.cli.json_output import to_jsonable
from residency.cli.options import Directory, MetricName
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import console, print_json, print_line, quote_path


def run_command(
    directory: Directory = Path(),
    base: Annotated[str, typer.Option(help="Another base model than the settings name.")] = "",
    rounds: Annotated[int | None, typer.Option(min=1, help="Most fine-tuning rounds.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of everything random.")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Use every row, whatever data.limit says.")
    ] = False,
    control: Annotated[
        bool | None, typer.Option(help="Train the control arm (random rows) as well.")
    ] = None,
    metric: MetricName = "",
    jobs: Annotated[
        int, typer.Option(min=1, help="Trainings and answers in so many processes.")
    ] = 1,
    cluster: Annotated[
        str, typer.Option(help="Ray cluster: auto, host:port, ray://…, or local.")
    ] = "",
    artifacts: Annotated[
        str, typer.Option(help="Folder or fsspec URL that all machines reach, for the jobs' files.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """The main job: prompted base, issues, fine-tuning, verdicts, targeted data, sealed test.

    Stop it with Ctrl-C at any moment; the same command goes on where it was.

    Example: residency run demo

    Example: residency run demo --base tiny

    Example: residency run demo --jobs 2
    """
    from residency.cli.result_tables import show_summary
    from residency.commands.project import Project
    from residency.loop.replay_rows import write_replay_notes
    from residency.store.stage_key import StageKey, StageName

    overrides: dict[str, Any] = {}
    if base:
        overrides["model.base"] = base
    if rounds is not None:
        overrides["rounds.max"] = rounds
    if seed is not None:
        overrides["project.seed"] = seed
    if control is not None:
        overrides["target.control"] = control
    if metric:
        overrides["train.metric"] = metric
    with ProgressDisplay() as progress:
        project = Project.open(
            directory, overrides=overrides, full=full, as_opened=False, progress=progress
        )
        done = project.store.stage(project.run_id, StageKey(StageName.COMPLETE)) is not None
        if not done:
            progress.say(f"Base model: {project.base.note or project.base.name}")
            for note in [*project.corpus.notes, *write_replay_notes(project)]:
                progress.say(f"Data: {note}")
        summary = project.run(jobs=jobs, cluster=cluster, artifacts=artifacts)
    if as_json:
        print_json(
            json.dumps({**to_jsonable(summary), "seconds": summary.seconds}, ensure_ascii=False)
        )
        return
    show_summary(summary)
    if done:
        console.print("Nothing to do: this run is complete. Change data or settings for a new one.")
    else:
        print_line(
            f"{summary.seconds / 60:.1f} minutes. Next: residency report {quote_path(directory)}"
        )
