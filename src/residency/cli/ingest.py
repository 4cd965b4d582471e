"""``residency ingest``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from residency.cli.json_output import to_jsonable
from residency.cli.options import ItemLimit, Json, open_project
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import console, print_json, print_line, quote_path
from residency.errors import UserError
from residency.text.counts import write_count
from residency.text.percent import write_percent

if TYPE_CHECKING:
    from residency.commands.ingest import Ingested


def ingest_command(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[DIR] FILES", help="Logs and traces, or the word log: the server's own."
        ),
    ],
    keep_personal: Annotated[
        bool, typer.Option("--keep-personal", help="Leave personal data in the texts.")
    ] = False,
    limit: ItemLimit = 0,
    as_json: Json = False,
) -> None:
    """Bring back what production asked and answered, unlabelled, and look what is wrong and what is new.

    Read are logs of chats, requests with responses, OpenAI's batches and traces, and spans of
    OpenTelemetry, as JSON Lines, JSON, Parquet or CSV. Personal data and secrets are masked. The rows
    enter no split: `residency collect DIR --traffic` shows the worst to people who answer better.

    Example: residency ingest demo chats.jsonl
    Example: residency ingest demo log
    """
    directory, files = split_files(arguments)
    with ProgressDisplay() as progress:
        project = open_project(directory, progress)
        result = project.ingest(files, keep_personal=keep_personal, limit=limit)
    if as_json:
        body = to_jsonable(result)
        body["drift"].pop("novelty")
        print_json(json.dumps(body, ensure_ascii=False))
        return
    _show(result, directory)


def split_files(arguments: list[str]) -> tuple[Path, list[str]]:
    """The project's folder, which may be left out, and the files.

    Raises:
        UserError: no file is named.
    """
    folder, files = Path(), arguments
    if Path(arguments[0]).is_dir():
        folder, files = Path(arguments[0]), arguments[1:]
    if not files:
        raise UserError(
            "no log is named",
            where="command line",
            next_step="residency ingest DIR FILE, or residency ingest DIR log",
        )
    return folder, files


def _show(result: Ingested, directory: Path) -> None:
    print_line(
        f"{write_count(result.read, 'conversation')} read, {result.added} of them new"
        + (f", {result.known} known before" if result.known else "")
        + (
            f", {result.repeated} equal to another (question, answer, model)"
            if result.repeated
            else ""
        )
        + f"; {write_count(result.total, 'row')} of traffic in all"
    )
    if result.left_out:
        lacks = ", ".join(f"{count} {reason}" for reason, count in result.left_out.items())
        print_line(f"no conversations of the server's log: {lacks}")
    if result.skipped:
        print_line(f"{write_count(result.skipped, 'span asks', 'spans ask')} no model")
    for location, reason in result.unreadable[:5]:
        console.print(Text(f"  left out: {location}: {reason}", style="yellow"))
    if len(result.unreadable) > 5:
        console.print(Text(f"  … {len(result.unreadable)} in all are left out", style="yellow"))
    if result.masked:
        print_line("masked: " + ", ".join(f"{kind} × {n}" for kind, n in result.masked.items()))
    if result.kinds:
        table = Table(title="Found without a reference", title_justify="left", header_style="bold")
        for column in ("kind", "answers", "judged", "share, 95 %"):
            table.add_column(column, justify="left" if column == "kind" else "right")
        for row in result.kinds:
            share = f"{write_percent(row.failed / row.judged)} [{100 * row.low:.1f}, {100 * row.high:.1f}]"
            table.add_row(row.kind, str(row.failed), str(row.judged), share)
        console.print(table)
    _show_drift(result)
    print_line(
        f"→ the worst wait for better answers: residency collect {quote_path(directory)} --traffic"
    )


def _show_drift(result: Ingested) -> None:
    drift = result.drift
    if drift.share is None:
        print_line(
            f"Too few prompts to speak of drift: {drift.traffic} of traffic, {drift.dev} of dev; "
            "20 of each are needed."
        )
        return
    print_line(
        f"new against dev: {write_percent(drift.share)} of {drift.traffic} prompts "
        f"[{100 * drift.low:.1f}, {100 * drift.high:.1f}]; 5 % where nothing has changed",
        "bold" if drift.has_moved else "",
    )
    if not drift.clusters:
        return
    table = Table(title="What is asked", title_justify="left", header_style="bold")
    for column in ("words", "dev", "traffic", "growth, 95 % together", ""):
        table.add_column(column, justify="left" if column in ("words", "") else "right")
    for row in drift.clusters:
        growth = f"{100 * (row.traffic_share - row.dev_share):+.1f} [{100 * row.low:+.1f}, {100 * row.high:+.1f}]"
        word = "new" if row.is_new else "rarer" if row.high < 0 else ""
        table.add_row(
            row.name, write_percent(row.dev_share), write_percent(row.traffic_share), growth, word
        )
    console.print(table)
