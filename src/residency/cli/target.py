"""``residency target``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from residency.cli.json_output import to_jsonable
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import console, print_json

if TYPE_CHECKING:
    pass
from residency.cli.options import Json, open_project, split_folder


def target_command(
    arguments: Annotated[
        list[str], typer.Argument(metavar="[DIR] ISSUE", help="An issue's id, or its beginning.")
    ],
    limit: Annotated[
        int,
        typer.Option(
            min=0, show_default=False, help="Rows at most; left out: target.rows_per_issue."
        ),
    ] = 0,
    selector: Annotated[
        str,
        typer.Option(show_default=False, help="How rows are chosen; left out: target.selector."),
    ] = "",
    as_json: Json = False,
) -> None:
    """Propose pool rows for one issue, after the firewall. The data stays as it is.

    Example: residency target demo is-1a2b3c --limit 10
    Example: residency target demo is-1a2b3c --selector gradient
    """
    directory, (issue,) = split_folder(arguments, ["ISSUE"])
    with ProgressDisplay() as progress:
        proposals = open_project(directory, progress).target(
            issue, count=limit or None, selector=selector or None
        )
    if as_json:
        print_json(json.dumps(to_jsonable(proposals), ensure_ascii=False))
        return
    table = Table(title=f"Rows for {issue}", title_justify="left", header_style="bold")
    for column in ("example", "score", "near or part", "accepted", "prompt"):
        table.add_column(column)
    for p in proposals:
        last = p.example.prompt[-1]
        table.add_row(
            p.example.id[:11],
            f"{p.score:.2f}",
            p.part or p.near[:11],
            "yes" if p.accepted else p.reason,
            (last.input or last.content)[:90],
        )
    console.print(table)
