"""``residency chat``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from residency.cli.terminal import console, safe
from residency.nouns.example import Message

if TYPE_CHECKING:
    from residency.commands.project import Project


def chat(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="The project.")] = Path(),
    model: Annotated[str, typer.Option(help="base, round-N, final, or an id.")] = "final",
    versus: Annotated[str, typer.Option(help="A second model that answers the same.")] = "",
    message: Annotated[str, typer.Option("-m", help="One message, then end.")] = "",
    instruct: Annotated[
        bool, typer.Option(help="Put the project's instruction before each message.")
    ] = True,
) -> None:
    """Talk to a model; with --versus, two models answer the same message. Empty line ends.

    Example: residency chat demo --versus base

    Example: residency chat demo -m "My kettle leaks, order A-48213. Refund please. Ana"
    """
    from residency.commands.project import Project

    project = Project.open(directory)
    instruction = project.instruction if instruct else ""
    names = [model, versus] if versus else [model]
    histories: dict[str, list[Message]] = {name: [] for name in names}
    while True:
        text = message or _ask()
        if not text:
            return
        for name in names:
            turn = Message("user", instruction, text) if instruction else Message("user", text)
            # A specialist answers one message at a time; a conversation goes on without one.
            history = [turn] if instruction else [*histories[name], turn]
            answer = _stream(project, history, name, titled=len(names) > 1)
            histories[name] = [*history, Message("assistant", answer)]
        if message:
            return


def _ask() -> str:
    try:
        return str(console.input("[bold]you> [/]")).strip()
    except EOFError:
        return ""


def _stream(project: Project, history: Sequence[Message], name: str, *, titled: bool) -> str:
    if titled:
        console.rule(name, align="left")
    parts = []
    for piece in project.chat(history, name):
        parts.append(piece)
        console.print(safe(piece), end="", markup=False, highlight=False, soft_wrap=True)
    console.print()
    return "".join(parts)
