"""``residency diagnose``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from residency.cli.json_output import to_jsonable
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import console, print_heading, print_json

if TYPE_CHECKING:
    pass
from residency.cli.options import Directory, Json, ModelName, open_project
from residency.results.kinds import issue_title


def diagnose_command(
    directory: Directory = Path(),
    name: ModelName = "final",
    show: Annotated[int, typer.Option(min=0, help="Failing examples shown for each issue.")] = 0,
    as_json: Json = False,
) -> None:
    """Run the detectors again on stored dev answers and group the failures into issues.

    Nothing is generated: after a changed rule or threshold this takes seconds.

    Example: residency diagnose demo --model round-1 --show 2
    """
    with ProgressDisplay() as progress:
        project = open_project(directory, progress)
        diagnosis = project.diagnose(name)
        texts = {r.example: r.text for r in project.store.responses(diagnosis.model.id)}
    if as_json:
        body = {"model": diagnosis.model, "issues": diagnosis.issues, "failing": diagnosis.failing}
        print_json(json.dumps(to_jsonable(body), ensure_ascii=False))
        return
    table = Table(
        title=f"Issues in {diagnosis.model.id}", title_justify="left", header_style="bold"
    )
    for column in ("issue", "id", "kind", "slice", "failing"):
        table.add_column(column)
    for issue in diagnosis.issues:
        failing = len(diagnosis.failing[issue.id])
        table.add_row(issue_title(issue), issue.id[:9], issue.kind, issue.slice.name, str(failing))
    console.print(table)
    for issue in diagnosis.issues if show else []:
        print_heading(issue_title(issue))
        for key in diagnosis.failing[issue.id][:show]:
            console.print(f"{key}\n{texts.get(key, '')}\n")
