"""``residency report``."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from residency.cli.options import Directory
from residency.cli.terminal import print_json, print_line


def report_command(
    directory: Directory = Path(),
    out: Annotated[Path | None, typer.Option(help="File to write.")] = None,
    run: Annotated[str, typer.Option(help="An earlier run's id; empty means the latest.")] = "",
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the path as JSON.")] = False,
) -> None:
    """Write one self-contained HTML file with every figure and its evidence.

    It reads the store alone, loads nothing from any network, and can be written while a run
    goes on.

    Example: residency report demo --open
    """
    import json

    from residency.commands.report import report
    from residency.project.settings_file import find_project_root, read_config
    from residency.store.store import Store

    root = find_project_root(directory)
    store = Store(root, read_config(root).project.store, create=False)
    try:
        path = report(root, store, out or "", run=run)
    finally:
        store.close()
    if as_json:
        print_json(json.dumps({"report": str(path)}))
    else:
        print_line(f"Report: {path}")
    if show:
        webbrowser.open(path.resolve().as_uri())
