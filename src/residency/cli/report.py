"""``residency report``."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer


def report(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="The project.")] = Path(),
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

    from residency.project.workspace import find_root, read_config
    from residency.report.write_report import FILE_NAME
    from residency.report.write_report import report as write
    from residency.store.store import Store

    root = find_root(directory)
    store = Store(root, read_config(root).project.store, create=False)
    try:
        path = write(store, out or root / FILE_NAME, run=run)
    finally:
        store.close()
    if as_json:
        typer.echo(json.dumps({"report": str(path)}))
    else:
        typer.echo(f"Report: {path}")
    if show:
        webbrowser.open(path.resolve().as_uri())
