"""``residency serve``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from residency.cli.options import Directory, Json, open_project
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import print_json, print_line
from residency.errors import UserError

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
    engine: Annotated[
        Literal["residency", "llamacpp"],
        typer.Option(help="llamacpp: an exported GGUF file by llama.cpp's own server."),
    ] = "residency",
    file: Annotated[Path | None, typer.Option(help="The GGUF file of --engine llamacpp.")] = None,
    vllm_command: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Print how vLLM serves this export, and end."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Serve the project's models behind OpenAI's API: base, round-N, final, or any id.

    Clients name the model in each request; all of them share one loaded base and one batch. The key
    that clients must send stands in the environment, RESIDENCY_SERVE_KEY; without one the server
    listens to this machine alone. SIGTERM or Ctrl-C finishes the answers in hand.

    Example: residency serve demo --port 8643

    Example: RESIDENCY_SERVE_KEY=… residency serve demo --host 0.0.0.0

    Example: residency serve demo --engine llamacpp --file demo-gguf/final-q8_0.gguf

    Example: residency serve demo --vllm-command demo-adapter
    """
    from residency.commands.serve import serve, serve_gguf

    if vllm_command is not None:
        _print_vllm_command(vllm_command, host, port, as_json)
        return
    if (engine == "llamacpp") != (file is not None):
        raise UserError(
            "--engine llamacpp and --file belong together",
            where="command line",
            next_step="residency export DIR --format gguf --out FOLDER writes such a file",
        )
    with ProgressDisplay() as progress:
        project = open_project(directory, progress)

    def say_ready(listening: Listening) -> None:
        if as_json:
            print_json(json.dumps(asdict(listening)))
            return
        for note in listening.notes:
            print_line(note)
        names = [name for name in listening.models if not name.startswith("m-")]
        print_line(f"{listening.url}  models: {', '.join(names)}  (Ctrl-C ends it)")

    if file is not None:
        serve_gguf(project, file, host=host, port=port, on_ready=say_ready)
    else:
        serve(project, host=host, port=port, preload=preload, on_ready=say_ready)


def _print_vllm_command(folder: Path, host: str, port: int, as_json: bool) -> None:
    from residency.export.vllm_command import write_vllm_command

    written = write_vllm_command(folder, host=host, port=port)
    if as_json:
        print_json(json.dumps(asdict(written)))
    else:
        print_line(written.command)
