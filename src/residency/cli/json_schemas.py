"""What a command prints with ``--json`` gets the name of its shape.

The first field of every output is ``schema``, ``residency.COMMAND/VERSION``. A version rises when a
field goes away or changes its meaning; fields may be added within one. ``docs/json.md`` is made of
``json_shapes``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from residency.cli.json_shapes import SHAPES

running_command: ContextVar[tuple[str, ...]] = ContextVar("running_command", default=())
"""The words of the command that runs: ``("data", "list")``."""


def find_command_words(context: Any) -> tuple[str, ...]:
    """The words of a command by typer's context of it."""
    words: list[str] = []
    while context is not None and context.parent is not None:
        words.insert(0, str(context.info_name or ""))
        context = context.parent
    return tuple(words)


def name_schema(words: Sequence[str]) -> str:
    """``["data", "list"]`` → ``residency.data-list/1``."""
    shape = SHAPES.get(" ".join(words))
    return f"residency.{'-'.join(words)}/{shape.version if shape else 1}"


def add_schema(text: str, words: Sequence[str]) -> str:
    """JSON text with its schema's name first; a list becomes ``rows``. Outside of a command: as it is."""
    if not words:
        return text
    name, rest = json.dumps(name_schema(words)), text.lstrip()
    if rest.startswith("["):
        return f'{{"schema": {name}, "rows": {rest.rstrip()}}}'
    if not rest.startswith("{"):
        return text
    inner = rest[1:].lstrip()
    return f'{{"schema": {name}{"" if inner.startswith("}") else ", "}{inner}'
