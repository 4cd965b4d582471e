"""``residency web``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from residency.cli.options import Directory
from residency.cli.terminal import print_line


def web_command(
    directory: Directory = Path(),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8642,
    host: Annotated[str, typer.Option(help="Address; beyond this machine it needs a token.")] = (
        "127.0.0.1"
    ),
    token: Annotated[
        str, typer.Option(envvar="RESIDENCY_WEB_TOKEN", help="Every request must carry it.")
    ] = "",
) -> None:
    """Look at a project in the browser: rounds, issues, and every item before and after.

    The pages read the store and change nothing. They are served to this machine alone.

    Example: residency web demo --port 8642
    """
    from residency.project.settings_file import find_project_root
    from residency.web.app import serve_pages
    from residency.web.security import check_host

    root = find_project_root(directory)
    check_host(host, token)
    print_line(f"http://{host}:{port}/{'?token=…' if token else ''}  (Ctrl-C ends it)")
    serve_pages(root, host=host, port=port, token=token)
