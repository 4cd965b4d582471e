"""``residency search``: better settings for this project's training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from residency.cli.estimate import format_duration
from residency.cli.json_output import to_jsonable
from residency.cli.options import Directory, Json, open_project
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import console, print_json, print_line, quote_path
from residency.text.counts import write_count
from residency.text.percent import write_percent

if TYPE_CHECKING:
    from residency.sweep.search_result import SearchResult
    from residency.sweep.search_settings import Search


def search_command(
    directory: Directory = Path(),
    vary: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=LOW..HIGH or NAME=A,B,C of [train]; may repeat. "
            "Learning rate, epochs and rank if left out."
        ),
    ] = None,
    trials: Annotated[
        int, typer.Option(min=2, help="Settings to try, the project's own among them.")
    ] = 20,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each.")] = 2,
    confirm: Annotated[
        int, typer.Option(min=2, help="Fresh trainings of the best and of the project's own.")
    ] = 3,
    minutes: Annotated[
        float, typer.Option(min=0, help="What all may take, by the estimate; 0: no bound.")
    ] = 60.0,
    base: Annotated[str, typer.Option(help="A base model; the project's own if left out.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, train nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Search settings of [train], stop poor ones early, and confirm the best with fresh trainings.

    Settings are chosen on the part of dev that finds issues; the best and the project's own are
    then trained anew, under other seeds, and compared on the part that measures. Stop with Ctrl-C
    at any moment; the same command goes on where it was. Needs the extra search.

    Example: residency search demo --minutes 60

    Example: residency search demo --vary learning_rate=1e-4..3e-3 --vary rank=4,8,16,32 --trials 12
    """
    from residency.commands.search import open_search
    from residency.sweep.search_options import SearchOptions

    options = SearchOptions(tuple(vary or ()), trials, seeds, confirm, minutes, base)
    with ProgressDisplay() as progress:
        project = open_project(directory, progress)
        opened = open_search(project, options)
        with project.store.writer("search"):
            count = opened.plan()
            plan = describe_search(opened, count)
            if not as_json:
                progress.say(plan)
            result = None if dry_run else opened.run(count)
    if as_json:
        value = {"plan": plan, "trials": count} if result is None else result.to_dict()
        print_json(json.dumps(to_jsonable(value), ensure_ascii=False))
    elif result is not None:
        show_search(result)
        if result.gain is not None and result.gain.low > 0:
            where = quote_path(directory / "residency.toml")
            lines = [f"{name} = {json.dumps(value)}" for name, value in result.best.items()]
            print_line(f"Next: in {where}, under [train]: {'; '.join(lines)}")
            print_line(f"Then: residency run {quote_path(directory)}")


def describe_search(search: Search, trials: int) -> str:
    """What will run, in a sentence."""
    options = search.options
    each = search.predict_training()
    whole = trials * options.seeds * each + search.confirm_seconds + search.cost.frozen_seconds
    bound = f" of {options.minutes:g} min" if options.minutes else ""
    return (
        f"Plan: {trials} trials of {', '.join(search.space)}, {options.seeds} "
        f"training{'s' if options.seeds > 1 else ''} each, then "
        f"{write_count(options.confirm, 'fresh training')} of the best and of the project's own: at most "
        f"{format_duration(whole)}{bound} by the estimate, {format_duration(each)} a training"
    )


def show_search(result: SearchResult) -> None:
    """The trials, best first, and what the confirmation says."""
    from residency.sweep.search_result import describe_trial

    title = f"{result.metric}, on the items that choose"
    table = Table(title=title, title_justify="left", header_style="bold")
    ranked = sorted(result.trials, key=lambda trial: -(trial.score or 0.0))
    remarks = [
        trial.failure or ("stopped: worse than the best, item by item" * trial.stopped)
        for trial in ranked
    ]
    for column in ("settings", "trainings", result.metric, *(("remark",) if any(remarks) else ())):
        table.add_column(column, justify="right" if column == "trainings" else "left")
    for trial, remark in zip(ranked, remarks, strict=True):
        score = write_percent(trial.score)
        cells = [describe_trial(trial.settings), str(trial.trainings), score]
        table.add_row(*cells, *((remark,) if any(remarks) else ()))
    console.print(table)
    for line in (*result.words, *result.notes):
        print_line(line)
