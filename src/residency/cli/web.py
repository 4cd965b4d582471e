"""``residency web``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from residency.cli.options import Directory
from residency.cli.terminal import print_line


def web_command(
    directory: Directory = Path(),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8642,
    host: Annotated[str, typer.Option(help="Address; beyond this machine it needs a token.")] = (
        "127.0.0.1"
    ),
    token: Annotated[
        str, typer.Option(envvar="RESIDENCY_WEB_TOKEN", help="Every request must carry it.")
    ] = "",
) -> None:
    """The workbench: the whole loop in the browser, from a file of rows to the sealed test.

    Works in a project, in a folder of several, and in an empty one. What is written there is added
    with who and when; a run goes on when the browser or this server is closed. The pages are
    served to this machine alone, unless --token is given.

    Example: residency web demo --port 8642
    """
    from residency.errors import ConfigError
    from residency.web.app import serve_pages
    from residency.web.security import check_host

    if not directory.is_dir():
        raise ConfigError(
            "no such folder", where=str(directory), next_step="name a folder, or make one"
        )
    check_host(host, token)
    shown = f"[{host.strip('[]')}]" if ":" in host else host

    def tell_address(taken: int) -> None:
        print_line(f"http://{shown}:{taken}/{'?token=…' if token else ''}  (Ctrl-C ends it)")

    serve_pages(directory, host=host, port=port, token=token, on_ready=tell_address)
