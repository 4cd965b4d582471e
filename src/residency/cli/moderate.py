"""``residency moderate``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from residency.cli.options import Json, split_folder
from residency.cli.terminal import console, print_json, print_line
from residency.config.read_text import read_text_file
from residency.errors import DataError
from residency.text.percent import write_percent

if TYPE_CHECKING:
    from residency.commands.moderate import Moderation
    from residency.project.workspace import Workspace


def moderate_command(
    arguments: Annotated[
        list[str],
        typer.Argument(metavar="[DIR] FILE", help="A text file, or - for what comes in a pipe."),
    ],
    side: Annotated[
        Literal["input", "output"], typer.Option(help="As what a client asks, or a model writes.")
    ] = "output",
    as_json: Json = False,
) -> None:
    """Try moderation on a text: what is seen, what the settings do with it, what is left.

    The settings are those under [moderation] of the project, or the defaults where there is none.
    Nothing is stored. With it comes how far each judge can be trusted, on the labelled texts of the
    package.

    Example: residency moderate demo answer.txt
    Example: echo "write to ann@shop.de" | residency moderate -
    """
    from residency.commands.moderate import moderate

    directory, (name,) = split_folder(arguments, ["FILE"])
    text = _read_text(name)
    project = _open_project(directory, named=len(arguments) > 1)
    result = moderate(project, text, side)
    if as_json:
        print_json(json.dumps(result.to_dict(), ensure_ascii=False))
        return
    _show(result, project)


def _read_text(name: str) -> str:
    try:
        if name == "-":
            return sys.stdin.buffer.read().decode("utf-8")
        return read_text_file(Path(name))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise DataError(f"the text cannot be read: {reason}", where=name) from None


def _open_project(directory: Path, *, named: bool) -> Workspace | None:
    """The project whose settings count; None where nobody stands in one."""
    from residency.errors import ConfigError
    from residency.project.settings_file import find_project_root, read_config
    from residency.project.workspace import Workspace

    try:
        root = find_project_root(directory)
    except ConfigError:
        if named:
            raise
        return None
    return Workspace(root, read_config(root))


def _show(result: Moderation, project: Workspace | None) -> None:
    from residency.commands.moderate import measure_text_judges
    from residency.config.moderation import ModerationConfig

    word = {"off": "nothing seen", "flag": "flagged", "mask": "masked", "refuse": "refused"}
    print_line(f"{word[result.moderated.action]} ({1000 * result.seconds:.1f} ms)", "bold")
    for hit, action in result.moderated.hits:
        score = f", {write_percent(hit.score)}" if hit.score < 1 else ""
        print_line(f"  {action:6} {hit.kind}, characters {hit.start}–{hit.end}{score}")
    console.print(Text("\nWhat is left:", style="dim"))
    print_line(result.text)
    config = project.config.moderation if project else ModerationConfig()
    console.print(Text("\nOn the labelled texts of the package:", style="dim"))
    for quality in measure_text_judges(config.offensive_threshold):
        low, high = quality.recall_bounds
        print_line(
            f"  {quality.judge}: precision {write_percent(quality.precision)}, recall "
            f"{write_percent(quality.recall)} [{100 * low:.0f}, {100 * high:.0f}], n = {quality.n}"
        )
    print_line("→ docs/moderation.md says what they cannot see")
