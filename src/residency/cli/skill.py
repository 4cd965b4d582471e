"""``residency skill``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from residency.cli.options import Json
from residency.cli.terminal import print_json, print_line


def skill_command(
    out: Annotated[
        Path | None, typer.Option(help="Write it to this file or folder (as SKILL.md) instead.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace a file that is there.")] = False,
    as_json: Json = False,
) -> None:
    """How a coding assistant uses Residency: one page, for AGENTS.md or a folder of skills.

    Example: residency skill --out AGENTS.md
    """
    from residency.commands.skill import read_skill, write_skill

    text = read_skill()
    if out is None:
        if as_json:
            print_json(json.dumps({"text": text, "file": None}, ensure_ascii=False))
        else:
            typer.echo(text, nl=False)
        return
    path = write_skill(out, force=force)
    if as_json:
        print_json(json.dumps({"text": text, "file": str(path)}, ensure_ascii=False))
    else:
        print_line(f"Written: {path}")
