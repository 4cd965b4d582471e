"""``residency schema``: the JSON Schema of what a command prints with ``--json``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from residency.cli.json_output import to_jsonable


def schema_command(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[COMMAND]", help="A command's words, or the name in its output."),
    ] = None,
) -> None:
    """Print the JSON Schema of what a command prints with --json; without a command, all their names.

    Example: residency schema data list

    Example: residency schema residency.gate/1
    """
    from residency.cli.json_schemas import make_schema, name_schema
    from residency.cli.json_shapes import SHAPES

    if command:
        typer.echo(json.dumps(to_jsonable(make_schema(" ".join(command))), indent=1))
        return
    for name in SHAPES:
        typer.echo(name_schema(name.split()))
