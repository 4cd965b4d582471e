"""``residency status``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from residency.cli.exit_codes import exit_with
from residency.cli.json_output import to_jsonable
from residency.cli.options import Directory, Json
from residency.cli.terminal import console, print_json, print_line, quote_path
from residency.errors import NotRunError

if TYPE_CHECKING:
    from residency.results.next_actions import NextAction


def status_command(
    directory: Directory = Path(),
    as_json: Json = False,
    stages: Annotated[bool, typer.Option(help="Also list finished stages and seconds.")] = False,
) -> None:
    """Show rounds, issues, verdicts and the sealed test of the latest run, and what to do next. Opens no model.

    Example: residency status demo
    """
    from residency.cli.result_tables import show_summary
    from residency.project.made_rows import count_undecided_rows
    from residency.project.progress_file import read_position
    from residency.project.settings_file import find_project_root, read_config
    from residency.results.next_actions import (
        list_first_actions,
        list_next_actions,
        write_run_command,
    )
    from residency.results.run_results import RunResults
    from residency.results.run_summary import summarise_results
    from residency.store.store import FOLDER, Store

    root = find_project_root(directory)
    config = read_config(root)
    try:
        results = RunResults(Store(root, config.project.store, create=False))
    except NotRunError as error:
        if as_json:
            raise
        with exit_with(2):
            print_line(f"{error.what[:1].upper()}{error.what[1:]}.")
            undecided = count_undecided_rows(root, config)
            _print_actions(list_first_actions(config, undecided=undecided), directory)
        return
    summary = summarise_results(results)
    position = read_position(root / FOLDER)
    actions = list_next_actions(results, running=position is not None)
    if as_json:
        body = {**to_jsonable(summary), "seconds": summary.seconds}
        body["running"] = to_jsonable(position)
        body["next"] = to_jsonable(actions)
        print_json(json.dumps(body, ensure_ascii=False))
        return
    show_summary(summary)
    if stages:
        for key, seconds, at in summary.stages:
            console.print(f"{at}  {seconds:8.1f} s  {key}")
    if position:
        print_line(position.describe())
    elif not summary.complete:
        command = write_run_command(results).replace("DIR", quote_path(directory), 1)
        print_line(f"Not complete. Go on with: residency {command}")
    _print_actions(actions, directory)


def _print_actions(actions: list[NextAction], directory: Path) -> None:
    """What to do next, each with its reason and its command."""
    for number, action in enumerate(actions, start=1):
        command = action.write_command(quote_path(directory))
        print_line(f"Next {number}. {action.title}. {action.reason}")
        print_line(f"  → {command}")
