"""``residency rows``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from residency.cli.json_output import to_jsonable
from residency.cli.options import Directory, Json, open_project
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import console, print_json, print_line
from residency.errors import ConfigError
from residency.text.terminal_text import make_safe

if TYPE_CHECKING:
    from residency.commands.rows import ProposedRow


def rows_command(
    directory: Directory = Path(),
    issue: Annotated[str, typer.Option(help="Only rows of this issue.")] = "",
    accept: Annotated[list[str] | None, typer.Option(help="Accept this row; may repeat.")] = None,
    reject: Annotated[
        list[str] | None, typer.Option(help="Never train this row; may repeat.")
    ] = None,
    edit: Annotated[str, typer.Option(help="Change this row by --request and --answer.")] = "",
    request: Annotated[str, typer.Option(help="The edited row's request.")] = "",
    answer: Annotated[str, typer.Option(help="The edited row's answer.")] = "",
    reason: Annotated[str, typer.Option(help="Why; kept with the decision.")] = "",
    who: Annotated[
        str, typer.Option(envvar="RESIDENCY_PERSON", help="Who decides; the login name otherwise.")
    ] = "",
    reviewed: Annotated[
        bool,
        typer.Option(
            "--reviewed", help="All rows are looked at: of the next round, and made ones."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Rows that issues drew or that were made: accept, reject or edit them. Nothing rejected is trained.

    With target.review = true a run waits here before each round that trains such rows, and rows that a
    teacher or templates made join train only once they are looked at. A decision on a made row changes
    what is trained, so the next run is a new one.

    Example: residency rows demo

    Example: residency rows demo --reject ex-1a2b3c --reason "the label is wrong"
    """
    from residency.commands.rows import check_rows, decide_row, finish_review, list_rows

    if bool(edit) != bool(request or answer):
        raise ConfigError("--edit goes with --request or --answer", where="command line")
    with ProgressDisplay() as progress:
        project = open_project(directory, progress)
        name = who or _login_name()
        check_rows(project.store, [*(accept or []), *(reject or [])])
        with project.store.all_or_nothing():
            for row in accept or []:
                decide_row(project, row, "accept", who=name, reason=reason)
            for row in reject or []:
                decide_row(project, row, "reject", who=name, reason=reason)
            if edit:
                decide_row(
                    project,
                    edit,
                    "edit",
                    who=name,
                    reason=reason,
                    prompt=request or None,
                    answer=answer or None,
                )
            number = finish_review(project, who=name) if reviewed else 0
    rows = list_rows(project.store, issue=issue)
    if as_json:
        print_json(json.dumps(to_jsonable(rows), ensure_ascii=False))
        return
    console.print(_make_table(rows))
    if any(row.round == 0 and row.decision for row in rows) and (accept or reject or edit):
        print_line("What was decided of made rows counts from the next residency run on.")
    if number:
        print_line(f"The rows of round {number} are looked at: residency run goes on.")


def _make_table(rows: Sequence[ProposedRow]) -> Table:
    title = "Rows that issues drew or that were made"
    table = Table(title=title, title_justify="left", header_style="bold")
    has_made = any(row.round == 0 for row in rows)
    for column in (
        "round",
        "row",
        "issue",
        *(["made by"] if has_made else []),
        "decision",
        "request",
    ):
        table.add_column(column)
    for each in rows:
        p, decision = each.proposal, each.decision
        words = f"{decision.decision} ({decision.who})" if decision else "–"
        last = p.example.prompt[-1]
        made_by = f"{p.origin}, {each.made_from}" if each.round == 0 else "–"
        table.add_row(
            str(each.round) if each.round else "made",
            p.example.id[:13],
            p.issue[:13] or "–",
            *([make_safe(made_by)] if has_made else []),
            words if p.accepted else p.reason,
            (last.input or last.content)[:90],
        )
    return table


def _login_name() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
