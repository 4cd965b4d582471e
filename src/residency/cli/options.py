"""Arguments and options that several commands share.

The project's folder comes first in every command, and may be left out where one stands in it.
``--limit`` is how many at most, in every command; 0 stands for all of them.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from residency.cli.progress import ProgressDisplay
    from residency.commands.project import Project


Directory = Annotated[
    Path, typer.Argument(metavar="DIR", help="The project; the folder where you are if left out.")
]
Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
ModelName = Annotated[
    str, typer.Option("--model", help="base, few-shot, round-N, round-N-control, final, or an id.")
]
OpenSplit = Literal["dev", "train", "pool"]
"""Splits that may be looked at whenever one likes; test is sealed."""
SplitName = Annotated[OpenSplit, typer.Option("--split", help="Examples of this split.")]
MetricName = Annotated[
    str,
    typer.Option(
        "--metric",
        help="Choose the best step by answers written while training: primary, checks, faultless, a rule.",
    ),
]
USUAL_CRITERION = "Is the answer correct and complete?"
"""What a judge rates answers by where nothing else is said."""
ItemLimit = Annotated[int, typer.Option("--limit", min=0, help="Items at most; 0: all.")]


def open_project(
    directory: Path, progress: ProgressDisplay, base: str = "", metric: str = ""
) -> Project:
    """The project, with progress shown. A folder without one is refused before anything is loaded."""
    from residency.project.settings_file import find_project_root

    root = find_project_root(directory)
    from residency.commands.project import Project

    overrides: dict[str, Any] = {"model.base": base} if base else {}
    if metric:
        overrides["train.metric"] = metric
    return Project.open(root, overrides=overrides, progress=progress)


def split_folder(arguments: Sequence[str], names: Sequence[str]) -> tuple[Path, list[str]]:
    """The project's folder and the arguments that follow it: ``[DIR] ID``.

    The folder may be left out; it is also found at the end, where it used to stand.

    Raises:
        UserError: too few arguments, or too many.
    """
    from residency.config.settings import CONFIG_NAME
    from residency.errors import UserError

    values = list(arguments)
    if len(values) == len(names):
        if (Path(values[0]) / CONFIG_NAME).is_file():
            raise UserError(
                f"{names[-1]} is missing after the project's folder {values[0]}",
                where="command line",
                next_step=f"residency status {shlex.quote(values[0])} shows what there is",
            )
        return Path(), values
    if len(values) != len(names) + 1:
        raise UserError(
            f"{' '.join(names)} expected, after the project's folder; found: "
            f"{' '.join(values) or 'nothing'}",
            where="command line",
        )
    if not Path(values[0]).is_dir() and Path(values[-1]).is_dir():
        return Path(values[-1]), values[:-1]
    return Path(values[0]), values[1:]
