"""``residency status``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from residency.cli.json_output import plain
from residency.cli.terminal import console, print_json


def status(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="The project.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
    stages: Annotated[bool, typer.Option(help="Also list finished stages and seconds.")] = False,
) -> None:
    """Show rounds, issues, verdicts and the sealed test of the latest run. Opens no model.

    Example: residency status demo
    """
    from residency.cli.result_tables import show_summary
    from residency.project.workspace import find_root, read_config
    from residency.results import run_summary as summaries
    from residency.store.store import Store

    root = find_root(directory)
    store = Store(root, read_config(root).project.store, create=False)
    summary = summaries.status(store)
    if as_json:
        print_json(json.dumps({**plain(summary), "seconds": summary.seconds}, ensure_ascii=False))
        return
    show_summary(summary)
    if stages:
        for key, seconds, at in summary.stages:
            console.print(f"{at}  {seconds:8.1f} s  {key}", markup=False, highlight=False)
    if not summary.complete:
        console.print(f"Not complete. Go on with: residency run {directory}")
