"""``residency read``: read answers, note the first failure, group the notes."""

from __future__ import annotations

import getpass
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from residency.cli.options import Directory, Json, ModelName, open_project
from residency.cli.progress import ProgressDisplay
from residency.cli.show_answer import show_answer
from residency.cli.terminal import (
    console,
    format_interval,
    print_heading,
    print_json,
    print_line,
)
from residency.cli.typed_text import read_typed_text
from residency.errors import ConfigError
from residency.text.counts import write_count
from residency.text.percent import write_percent

if TYPE_CHECKING:
    from residency.commands.project import Project
    from residency.commands.propose_kind import KindProposal
    from residency.commands.rate_kind import KindRates
    from residency.commands.read import Reading
    from residency.diagnose.notes import Note


def read_command(
    directory: Directory = Path(),
    model: ModelName = "final",
    reader: Annotated[str, typer.Option(help="Who reads (default: your login name).")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Answers of the sample.")] = 100,
    note: Annotated[
        list[str] | None,
        typer.Option(help="RESPONSE=TEXT: a note without asking; empty: fine. May repeat."),
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="MODE=NOTE,NOTE: put notes into a mode. May repeat.")
    ] = None,
    rename: Annotated[
        str, typer.Option(help="MODE=NAME: rename a mode; merges where NAME is there.")
    ] = "",
    suggest: Annotated[bool, typer.Option("--suggest", help="Show notes that are alike.")] = False,
    kind: Annotated[str, typer.Option(help="Let later rounds measure this mode.")] = "",
    by: Annotated[
        Literal["rule", "judge", "reading", "nothing"], typer.Option(help="How it is measured.")
    ] = "rule",
    rule: Annotated[str, typer.Option(help="A rule of your own, as in a suite (TOML).")] = "",
    criterion: Annotated[str, typer.Option(help="The judge's yes-or-no question.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the kind, add nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Read a sample of answers and note the first failure of each; then group the notes.

    Without flags it shows one answer after the other. Every note is stored at once; the same
    command goes on where you stopped. A mode becomes a kind that later rounds measure.

    Example: residency read demo --reader ann

    Example: residency read demo --group "wrong tone=note-1a2b,note-3c4d"

    Example: residency read demo --kind "wrong tone" --by rule
    """
    from residency.commands import read as work
    from residency.commands.propose_kind import add_kind, propose_kind
    from residency.commands.rate_kind import rate_kind

    _check_kind_options(kind, bool(rule or criterion or dry_run))
    person = reader or getpass.getuser()
    with ProgressDisplay() as progress:
        project = open_project(directory, progress)
        proposal = rates = None
        with project.store.all_or_nothing():
            chosen = work.draw_sample(project, model=model, count=limit)
            for text in note or []:
                response, words = _split(text, "--note RESPONSE=TEXT")
                work.add_note(project, response, words, person)
            for text in group or []:
                mode, ids = _split(text, "--group MODE=NOTE,NOTE")
                work.group_notes(
                    project, [i.strip() for i in ids.split(",") if i.strip()], mode, person
                )
            if rename:
                work.rename_mode(project, *_split(rename, "--rename MODE=NAME"), person)
            if kind:
                proposal = propose_kind(
                    project,
                    kind,
                    by,
                    criterion=criterion,
                    rule=_read_rule(rule) if rule else None,
                    reader=person,
                )
                if not dry_run:
                    add_kind(project, proposal)
                rates = rate_kind(project, proposal.kind)
        groups = work.suggest_modes(project, chosen) if suggest else []
    reading = work.load_reading(project.store, project.root, chosen, person)
    if as_json:
        print_json(json.dumps(_make_body(reading, groups, proposal), ensure_ascii=False))
        return
    if proposal:
        _show_kind(proposal, rates, added=not dry_run)
    if not (note or group or rename or suggest or kind):
        _read_answers(project, reading, person)
        reading = work.load_reading(project.store, project.root, chosen, person)
    for words, notes in groups:
        print_heading(f"alike: {words}")
        for item in notes:
            print_line(f"  {item.id}  {item.text}")
    show_reading(reading)


def _make_body(
    reading: Reading,
    groups: Sequence[tuple[str, Sequence[Note]]],
    proposal: KindProposal | None,
) -> dict[str, Any]:
    """What ``--json`` prints."""
    body = reading.to_dict()
    body["suggestions"] = [
        {"words": words, "notes": [note.id for note in notes]} for words, notes in groups
    ]
    if proposal:
        body["kind"] = {**proposal.kind.to_dict(), "said": proposal.describe()}
    return body


def _check_kind_options(kind: str, given: bool) -> None:
    if given and not kind:
        raise ConfigError(
            "--rule, --criterion and --dry-run speak of a kind",
            where="command line",
            next_step="add --kind NAME",
        )


def _read_answers(project: Project, reading: Reading, person: str) -> None:
    from residency.commands import read as work

    done = len(reading.sample) - len(reading.left)
    for number, answer in enumerate(reading.left, done + 1):
        example, response = work.find_answer(project, answer)
        print_heading(f"{number} of {len(reading.sample)}: {answer.reason}, {answer.cluster}")
        show_answer(example, response)
        try:
            typed = read_typed_text(
                "\nThe first failure, in your words (empty: fine, s: skip, q: stop): ",
                ("s", "q", ""),
            ).strip()
        except (EOFError, KeyboardInterrupt):
            return
        if typed == "q":
            return
        if typed != "s":
            work.add_note(project, response.id, typed, person)


def show_reading(reading: Reading) -> None:
    """Progress, modes, and the notes that are in none."""
    print_line(reading.progress.describe())
    if reading.modes:
        table = Table(title="Modes", title_justify="left", header_style="bold")
        for column in ("mode", "notes", "rate", "95 %", "measured by"):
            table.add_column(
                column, justify="left" if column in ("mode", "measured by") else "right"
            )
        for mode in reading.modes:
            kind = reading.kinds.get(mode.name)
            table.add_row(
                mode.name,
                str(len(mode.notes)),
                write_percent(mode.rate) if mode.rate is not None else "–",
                format_interval(mode.low, mode.high),
                (kind.by + ("" if kind.usable else " (unscored)")) if kind else "–",
            )
        console.print(table)
        print_line("Rates: the first failure, over the answers that were drawn at random.")
    for note in reading.ungrouped[:20]:
        print_line(f"  {note.id}  {note.text}")
    agreement = reading.agreement
    if agreement.shared:
        alphas = [f"{write_count(agreement.shared, 'answer has', 'answers have')} several readers"]
        for words, value in (("fails or not", agreement.failing), ("modes", agreement.modes)):
            if value is not None:
                alphas.append(f"{words}: {value:.2f}")
        print_line("Krippendorff's α of readers: " + ", ".join(alphas))


def _show_kind(proposal: KindProposal, rates: KindRates | None, *, added: bool) -> None:
    kind = proposal.kind
    measure = json.dumps(dict(kind.rule), ensure_ascii=False) if kind.rule else kind.criterion
    print_line(f"{kind.name}, by {kind.by}{': ' if measure else ''}{measure}")
    print_line(proposal.describe())
    if rates:
        print_line(rates.describe())
    if added:
        print_line("Added to kinds.toml; the next residency run measures it.")


def _split(text: str, form: str) -> tuple[str, str]:
    first, equals, second = text.partition("=")
    if not equals or not first.strip():
        raise ConfigError(f"{text!r} is not {form.partition(' ')[2]}", where=form.partition(" ")[0])
    return first.strip(), second.strip()


def _read_rule(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"the rule is no TOML: {error}",
            where="--rule",
            next_step="""for example --rule 'rule = "stop_words"\nwords = ["sorry"]'""",
        ) from None
