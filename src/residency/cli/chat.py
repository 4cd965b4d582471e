"""``residency chat``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from residency.cli.options import Directory, Json
from residency.cli.terminal import console, print_heading, print_json
from residency.nouns.example import Message
from residency.text.terminal_text import make_safe

if TYPE_CHECKING:
    from residency.commands.project import Project


def chat_command(
    directory: Directory = Path(),
    model: Annotated[str, typer.Option(help="base, round-N, final, or an id.")] = "final",
    versus: Annotated[str, typer.Option(help="A second model that answers the same.")] = "",
    message: Annotated[str, typer.Option("-m", help="One message, then end.")] = "",
    instruct: Annotated[
        bool, typer.Option(help="Put the project's instruction before each message.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Talk to a model; with --versus, two models answer the same message. Empty line ends.

    Example: residency chat demo --versus base

    Example: residency chat demo -m "My kettle leaks, order A-48213. Refund please. Ana"
    """
    from residency.commands.project import Project
    from residency.errors import ConfigError

    if as_json and not message:
        raise ConfigError("--json answers one message", where="--json", next_step="give it with -m")
    project = Project.open(directory)
    instruction = project.instruction if instruct else ""
    names = [model, versus] if versus else [model]
    histories: dict[str, list[Message]] = {name: [] for name in names}
    while True:
        text = message or _ask_message()
        if not text:
            return
        for name in names:
            turn = Message("user", instruction, text) if instruction else Message("user", text)
            # A specialist answers one message at a time; a conversation goes on without one.
            history = [turn] if instruction else [*histories[name], turn]
            if as_json:
                answer = "".join(project.chat(history, name))
            else:
                answer = _print_answer(project, history, name, titled=len(names) > 1)
            histories[name] = [*history, Message("assistant", answer)]
        if as_json:
            answers = [
                {"model": name, "text": messages[-1].text} for name, messages in histories.items()
            ]
            print_json(json.dumps({"message": message, "answers": answers}, ensure_ascii=False))
        if message:
            return


def _ask_message() -> str:
    try:
        return str(console.input(Text("you> ", style="bold"))).strip()
    except EOFError:
        return ""


def _print_answer(project: Project, history: Sequence[Message], name: str, *, titled: bool) -> str:
    if titled:
        print_heading(name)
    parts = []
    for piece in project.chat(history, name):
        parts.append(piece)
        console.print(make_safe(piece), end="", soft_wrap=True)
    console.print()
    return "".join(parts)
