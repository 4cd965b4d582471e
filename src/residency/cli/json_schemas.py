"""What a command prints with ``--json`` gets the name of its shape.

The first field of every output is ``schema``, ``residency.COMMAND/VERSION``. A version rises when a
field goes away or changes its meaning; fields may be added within one. ``docs/json.md`` and the JSON
Schemas of ``residency schema`` are made of ``json_shapes``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from residency.cli.json_shapes import FIELD_TYPES, SHAPES
from residency.errors import ConfigError

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


def make_schema(command_or_name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a command's output.

    The fields of one form are required, and others may come; the type of a field is told where it is the same
    in every output.

    Args:
        command_or_name: a command's words, or the name in its output (``residency.data-list/1``).

    Raises:
        ConfigError: no command prints that.
    """
    by_name = {name_schema(command.split()): command for command in SHAPES}
    command = by_name.get(command_or_name, command_or_name.removeprefix("residency "))
    shape = SHAPES.get(command)
    if shape is None:
        raise ConfigError(
            f"no command prints {command_or_name!r} as JSON",
            next_step="residency schema names them all",
        )
    name = name_schema(command.split())
    properties: dict[str, Any] = {"schema": {"const": name}}
    properties |= {key: _describe_field(key, text) for key, text in shape.known_fields.items()}
    if shape.row_fields:
        rows = {key: _describe_field(key, text) for key, text in shape.row_fields.items()}
        row = {"type": "object", "properties": rows, "required": list(rows)}
        properties["rows"] = {"type": "array", "items": row}
    main = ["schema", *(["rows"] if shape.row_fields else shape.fields)]
    forms = [main, *(["schema", *fields] for fields in shape.other_forms.values())]
    required = {"anyOf": [{"required": form} for form in forms]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "description": shape.about,
        "type": "object",
        "properties": properties,
        **(required if len(forms) > 1 else {"required": main}),
    }


def _describe_field(key: str, meaning: str) -> dict[str, Any]:
    kind = {"type": FIELD_TYPES[key]} if key in FIELD_TYPES else {}
    return kind | ({"description": meaning} if meaning else {})
