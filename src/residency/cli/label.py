"""``residency label``."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from residency.cli.json_output import to_jsonable
from residency.cli.options import Json, ModelName, open_project, split_folder
from residency.cli.progress import ProgressDisplay
from residency.cli.show_answer import show_answer
from residency.cli.terminal import console, print_heading, print_json, print_line
from residency.text.terminal_text import make_safe

if TYPE_CHECKING:
    from residency.commands.label import Labelling
    from residency.commands.project import Project


def label_command(
    arguments: Annotated[
        list[str], typer.Argument(metavar="[DIR] ISSUE", help="The issue, by id or its beginning.")
    ],
    model: ModelName = "final",
    person: Annotated[
        str, typer.Option(envvar="RESIDENCY_PERSON", help="Who labels; the login name otherwise.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="Answers to show at most.")] = 40,
    label: Annotated[
        list[str] | None,
        typer.Option(help="RESPONSE=yes or =no: it fails, or not; without asking. May repeat."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="JSON Lines: response or example, fails, maybe person.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say of some answers whether they really have an issue's failure; its rate is corrected by that.

    Answers that the detector flags and others come in turn, drawn blindly; which is which is not shown.
    Each label is stored at once.

    Example: residency label demo is-1a2b3c

    Example: residency label demo is-1a2b3c --file labels.jsonl
    """
    from residency.commands import label as work

    directory, (issue,) = split_folder(arguments, ["ISSUE"])
    who = person or getpass.getuser()
    with ProgressDisplay() as progress:
        project = open_project(directory, progress)
        state = work.open_labelling(project, issue, model=model, person=who, count=limit)
    kind = state.issue.kind
    with project.store.all_or_nothing():
        for text in label or []:
            response, fails = _split_label(text)
            work.add_label(project, response, kind, fails, who)
        if file is not None:
            work.import_labels(project, file, state, who)
    if not (label or file or as_json):
        _ask_person(project, state, who)
    state = work.open_labelling(project, issue, model=model, person=who, count=limit)
    if as_json:
        print_json(json.dumps(to_jsonable(state.to_dict()), ensure_ascii=False))
        return
    print_line(state.sentence)


def _ask_person(project: Project, state: Labelling, person: str) -> None:
    from residency.commands import label as work

    for number, key in enumerate(state.left, 1):
        example, response = work.read_answer(project, key)
        print_heading(f"{number} of {len(state.left)}: {state.title}")
        show_answer(example, response)
        answer = _ask_key(state.issue.kind)
        if answer == "q":
            return
        if answer != "s":
            work.add_label(project, response.id, state.issue.kind, answer == "y", person)


def _ask_key(kind: str) -> str:
    while True:
        try:
            typed = console.input(
                f"\nDoes this answer have the failure “{make_safe(kind)}”? y(es), n(o), s(kip), q(uit): "
            )
        except (EOFError, KeyboardInterrupt):
            return "q"
        if typed.strip().lower()[:1] in ("y", "n", "s", "q"):
            return typed.strip().lower()[:1]


def _split_label(text: str) -> tuple[str, bool]:
    from residency.errors import ConfigError

    response, _, verdict = text.rpartition("=")
    if not response or verdict.strip().lower() not in ("yes", "no"):
        raise ConfigError(f"{text!r} is not RESPONSE=yes or RESPONSE=no", where="--label")
    return response.strip(), verdict.strip().lower() == "yes"
