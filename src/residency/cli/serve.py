"""``residency serve``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from residency.cli.options import Directory, Json, open_project
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import print_json, print_line

if TYPE_CHECKING:
    from residency.commands.serve import Listening


def serve_command(
    directory: Directory = Path(),
    host: Annotated[str, typer.Option(help="Address; beyond this machine a key is needed.")] = (
        "127.0.0.1"
    ),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0: a free one.")
    ] = 8643,
    preload: Annotated[
        str, typer.Option(help="The model to load before the first request.")
    ] = "final",
    as_json: Json = False,
) -> None:
    """Serve the project's models behind OpenAI's API: base, round-N, final, or any id.

    Clients name the model in each request; all of them share one loaded base and one batch. The key
    that clients must send stands in the environment, RESIDENCY_SERVE_KEY; without one the server
    listens to this machine alone. SIGTERM or Ctrl-C finishes the answers in hand.

    Example: residency serve demo --port 8643

    Example: RESIDENCY_SERVE_KEY=… residency serve demo --host 0.0.0.0
    """
    from residency.commands.serve import serve

    with ProgressDisplay() as progress:
        project = open_project(directory, progress)

    def say_ready(listening: Listening) -> None:
        if as_json:
            print_json(json.dumps(asdict(listening)))
            return
        names = [name for name in listening.models if not name.startswith("m-")]
        print_line(f"{listening.url}  models: {', '.join(names)}  (Ctrl-C ends it)")

    serve(project, host=host, port=port, preload=preload, on_ready=say_ready)
