"""``residency suite``: draft a suite, and see what a suite can tell apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from residency.cli.options import Directory, Json, open_project
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import console, print_json, print_line, quote_path
from residency.text.percent import write_percent

if TYPE_CHECKING:
    from residency.evaluate.suites.sensitivity_table import Sensitivity

app = typer.Typer(no_args_is_help=True, help="Draft a test suite; see what a suite can tell apart.")


@app.command("draft")
def draft_command(
    directory: Directory = Path(),
    out: Annotated[str, typer.Option(help="File to write, within the project.")] = "suite.toml",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the draft, write nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a file that is there.")
    ] = False,
    use: Annotated[bool, typer.Option("--use", help="Name it in residency.toml.")] = False,
    as_json: Json = False,
) -> None:
    """Draft a suite from train and dev: fields, values, facts, meaning, length.

    A table says what the draft, and the suite in use, pass and fail of right and wrong answers.
    The sealed test is not read for it.

    Example: residency suite draft demo --use
    """
    from residency.commands.suite import write_suite_draft

    with ProgressDisplay() as progress:
        project = open_project(directory, progress)
        drafted = write_suite_draft(project, out=out, write=not dry_run, force=force, use=use)
    if as_json:
        print_json(json.dumps(drafted.to_dict(), ensure_ascii=False))
        return
    for table, reason in zip(drafted.draft.tables, drafted.draft.reasons, strict=True):
        print_line(f"{table['rule']:<12} {table.get('name', ''):<24} {reason}")
    for title, figures in (("The draft", drafted.drafted), ("The suite in use", drafted.present)):
        if figures is not None:
            show_sensitivity(title, figures)
    if drafted.path is None:
        console.print("\n" + drafted.draft.text)
        return
    print_line(f"\n{drafted.path} was written. Read it, and change what is not so.")
    if not drafted.in_use:
        print_line(f'To use it: [evaluate] suite = "{out}" in residency.toml, or --use --force')


@app.command("test")
def test_command(
    directory: Directory = Path(),
    as_json: Json = False,
) -> None:
    """Show what the suite in use passes and fails of right and wrong answers to dev items.

    The answers are the reference, its negation, another row's answer, nothing, and one for all.

    Example: residency suite test demo
    """
    from residency.commands.suite import try_suite

    with ProgressDisplay() as progress:
        table = try_suite(open_project(directory, progress))
    if as_json:
        print_json(json.dumps(table.to_dict(), ensure_ascii=False))
        return
    show_sensitivity("The suite in use", table)
    print_line(f"Next: residency suite draft {quote_path(directory)} --dry-run")


def show_sensitivity(title: str, table: Sensitivity) -> None:
    """The table, and in a sentence what the score cannot see."""
    from residency.evaluate.suites.sensitivity_table import PROBES
    from residency.results.blind_spots import describe_blind_spots

    grid = Table(title=f"{title}: {table.metric}", title_justify="left", header_style="bold")
    grid.add_column("what is answered")
    grid.add_column("passes", justify="right")
    grid.add_column("items", justify="right")
    rules = list(dict.fromkeys(name for probe in table.probes for name in probe.rules))
    for name in rules:
        grid.add_column(name.removeprefix("suite:"), justify="right")
    for probe in table.probes:
        cells = [write_percent(probe.rules[name]) if name in probe.rules else "–" for name in rules]
        value = "–" if probe.value is None else write_percent(probe.value)
        grid.add_row(PROBES[probe.name], value, str(probe.scored), *cells)
    console.print(grid)
    print_line(describe_blind_spots(table))
