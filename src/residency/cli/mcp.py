"""``residency mcp``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from residency.cli.options import Directory


def mcp_command(
    directory: Directory = Path(),
    allow_run: Annotated[
        bool, typer.Option("--allow-run", help="Let a tool start and stop runs.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=1, max=86400, help="Seconds that one tool may take.")
    ] = 300.0,
    characters: Annotated[
        int, typer.Option(min=2000, help="Letters of a result at most; it says what was cut.")
    ] = 60_000,
) -> None:
    """The commands of one project as tools of the Model Context Protocol, on stdin and stdout.

    Tools: status, check, run_state, report, trace, compare, gate, target, chat; with --allow-run also
    run_start and run_stop. No tool takes a path; none changes rows or settings. It needs the package
    mcp (pip install 'residency[mcp]').

    Example: residency mcp demo --allow-run
    """
    from residency.commands.tool_server import ToolLimits, build_tool_server

    build_tool_server(directory, ToolLimits(allow_run, timeout, characters)).run("stdio")
