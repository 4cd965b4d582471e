"""``residency init``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from residency.cli.json_output import to_jsonable
from residency.cli.options import Json
from residency.cli.terminal import console, print_json, quote_path
from residency.errors import ConfigError


def init_command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make.")],
    example: Annotated[str, typer.Option(help="A shipped example: tickets.")] = "",
    train: Annotated[list[Path] | None, typer.Option(help="Training file; may repeat.")] = None,
    dev: Annotated[list[Path] | None, typer.Option(help="Development file.")] = None,
    test: Annotated[list[Path] | None, typer.Option(help="Sealed test file.")] = None,
    pool: Annotated[list[Path] | None, typer.Option(help="Examples kept back.")] = None,
    replay: Annotated[
        list[Path] | None,
        typer.Option(help="General rows; a share of them is trained too, against forgetting."),
    ] = None,
    base: Annotated[str, typer.Option(help="Base model: name, folder, hub name, .gguf.")] = "",
    column: Annotated[
        list[str] | None, typer.Option(help="Your column name, e.g. instruction=frage.")
    ] = None,
    instruction: Annotated[str, typer.Option(help="Put before rows that have none.")] = "",
    split_at: Annotated[
        str, typer.Option(help="Mark within raw text that ends the prompt, e.g. '\\nA:'.")
    ] = "",
    least: Annotated[
        list[str] | None,
        typer.Option(help="Leave out rows rated below a number: rating=4; may repeat."),
    ] = None,
    name: Annotated[str, typer.Option(help="Name shown in reports.")] = "",
    suite: Annotated[
        bool, typer.Option("--suite/--no-suite", help="Draft a test suite from the data.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Make a project: a shipped example, or your own data.

    Without flags it asks. Nothing of yours is changed or copied.

    Example: residency init demo --example tickets

    Example: residency init support --train faq.csv --column instruction=question
    """
    from residency.commands.init import init
    from residency.data.reading.split_marks import parse_mark

    files = {
        "train": train or [],
        "dev": dev or [],
        "test": test or [],
        "pool": pool or [],
        "replay": replay or [],
    }
    if not example and not files["train"]:
        if not sys.stdin.isatty():
            raise ConfigError(
                "no data was named",
                next_step="residency init DIR --train FILE, or residency init DIR --example tickets",
            )
        example, files, base = _ask_files(base)
    project = init(
        directory,
        example=example,
        files=files,
        base=base,
        columns=parse_columns(column or []),
        instruction=instruction,
        split_at=parse_mark(split_at),
        least=parse_numbers(least or []),
        name=name,
        suite=suite,
    )
    if as_json:
        body = {"folder": project.root, "files": project.files, "found": project.notes}
        print_json(json.dumps(to_jsonable(body), ensure_ascii=False, default=str))
        return
    names = ", ".join(project.files)
    console.print(f"Project in {project.root}: {names}", soft_wrap=True)
    for path, what in project.notes.items():
        console.print(f"  {path}: {what}", soft_wrap=True)
    step = f"Next: residency check {quote_path(directory)} && residency run {quote_path(directory)}"
    console.print(step, soft_wrap=True)


def _ask_files(base: str) -> tuple[str, dict[str, list[Path]], str]:
    answer = typer.prompt("Training file (empty for the tickets example)", default="")
    if not answer:
        return "tickets", {}, base
    files = {"train": [Path(answer)]}
    for split, what in (("dev", "development"), ("test", "sealed test"), ("pool", "pool")):
        other = typer.prompt(f"File for {what} (empty: split off from train)", default="")
        files[split] = [Path(other)] if other else []
    return "", files, base or typer.prompt("Base model", default="smollm2-135m")


def parse_columns(pairs: list[str]) -> dict[str, str]:
    out = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not equals or not ours or not theirs:
            raise ConfigError(
                f"--column {pair!r} is not OURS=YOURS",
                next_step="for example --column instruction=question --column response=answer",
            )
        out[ours] = theirs
    return out


def parse_numbers(pairs: list[str]) -> dict[str, float]:
    """``["rating=4"]`` as numbers by column.

    Raises:
        ConfigError: a pair has no number.
    """
    numbers = {}
    for pair in pairs:
        column, _, number = pair.rpartition("=")
        try:
            numbers[column] = float(number)
        except ValueError:
            column = ""
        if not column:
            raise ConfigError(
                f"a column and a number are expected, found {pair!r}", next_step="--least rating=4"
            )
    return numbers
