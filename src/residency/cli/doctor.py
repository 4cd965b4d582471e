"""``residency doctor``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from residency.cli.options import Directory, Json


def doctor_command(
    directory: Directory = Path(),
    repair: Annotated[
        bool,
        typer.Option(
            help="Open again what residency run can make again; send the team what it lacks."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Check the project's store and every stored model, byte by byte.

    A missing or changed adapter is told with its model. With --repair its training is opened
    again, and the next residency run trains it anew; a changed one is set aside, not deleted.
    Exits with 2 where something is wrong and was not repaired.

    Example: residency doctor demo --repair
    """
    from residency.cli.json_output import to_jsonable
    from residency.cli.terminal import console, print_json
    from residency.commands.doctor import check_store, require_healthy
    from residency.project.settings_file import find_project_root, read_config

    root = find_project_root(directory)
    result = check_store(root, read_config(root).project, repair=repair)
    if as_json:
        print_json(json.dumps({**to_jsonable(result), "healthy": result.healthy}))
    else:
        for line in (*result.looked_at, *result.problems, *result.repaired):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        if not result.problems:
            console.print("Nothing is wrong.")
    require_healthy(result)
