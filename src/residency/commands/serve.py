"""``residency serve``: stored models behind an OpenAI-compatible server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from residency.config.moderation import ModerationConfig
from residency.errors import ConfigError, EndpointError
from residency.project.workspace import Workspace


@dataclass(frozen=True)
class Listening:
    """Where a server listens, and what it serves."""

    url: str
    models: list[str]
    keys: bool
    """Whether clients must send a key."""
    notes: list[str] = field(default_factory=list)
    """What the one who started it should know: models that are not served, a guard that does not answer."""


def serve(
    ws: Workspace,
    *,
    host: str = "127.0.0.1",
    port: int = 8643,
    preload: str = "final",
    on_ready: Callable[[Listening], None] = lambda listening: None,
) -> None:
    """Serve the project's models until SIGTERM or Ctrl-C; answers in hand are finished first.

    Args:
        port: 0 takes a free one. preload: a model that is loaded before the first request.
        on_ready: called when clients may ask.

    Raises:
        ConfigError: beyond this machine without a key. UserError: the port is taken.
        ModelError: the base or the preloaded model cannot be loaded.
    """
    from residency.http.listening import open_socket
    from residency.serve.open_server import open_server, read_server_keys
    from residency.serve.run_server import make_server

    keys = read_server_keys(ws, host)
    with open_socket(host, port) as bound:
        opened = open_server(ws, host=host, preload=preload)
        shown = f"[{host}]" if ":" in host else host
        listening = Listening(
            f"http://{shown}:{bound.getsockname()[1]}/v1", opened.models, bool(keys),
            [*opened.notes, *ask_guard(ws)],
        )  # fmt: skip
        server = make_server(
            opened.app, ws.config.serve,
            on_ready=lambda: on_ready(listening), on_drain=opened.start_draining,
        )  # fmt: skip
        try:
            server.run(sockets=[bound])
        finally:
            opened.close()


def ask_guard(ws: Workspace) -> list[str]:
    """What to say of a guard that does not answer; a server may be started before its guard is."""
    from residency.moderation.endpoint_guard import EndpointGuard

    guard, choose = ws.config.guard, ws.config.moderation.choose_action
    used = {choose("input", "guard"), choose("output", "guard")} != {"off"}
    if not (guard.url and used):
        return []
    try:
        EndpointGuard(guard).check()
    except EndpointError as error:
        outcome = "is refused" if guard.failure == "refuse" else "passes unseen by it"
        return [
            f"The guard in [guard] does not answer ({error.what}). Until it does, each text {outcome} "
            f'(failure = "{guard.failure}").'
        ]
    return []


def serve_gguf(
    ws: Workspace,
    file: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8643,
    on_ready: Callable[[Listening], None] = lambda listening: None,
) -> None:
    """Serve an exported GGUF file by llama.cpp's own server until SIGTERM or Ctrl-C.

    Slots, keys and the longest answer are those of the settings; the queue, the request log and the
    rest of ``[serve]`` are not: requests do not pass through Residency.

    Raises:
        ConfigError: beyond this machine without a key, or moderation is asked for.
        MissingExtraError: llama.cpp is not installed. ModelError: it refuses the file.
    """
    from residency.http.listening import open_socket
    from residency.serve.llamacpp_server import run_llamacpp
    from residency.serve.open_server import read_server_keys

    if ws.config.moderation != ModerationConfig() or ws.config.guard.url:
        raise ConfigError(
            "llama.cpp's server does not moderate, and [moderation] asks for it",
            where="--engine llamacpp",
            next_step="leave --engine out, or remove [moderation] and [guard]",
        )
    keys = read_server_keys(ws, host)
    open_socket(host, port).close()  # a port that is taken is told before the file is read
    run_llamacpp(
        file, host=host, port=port, keys=keys, settings=ws.config.serve,
        threads=ws.config.model.threads, context=ws.config.model.max_length * 2,
        on_ready=lambda url: on_ready(Listening(url, [file.stem], bool(keys))),
    )  # fmt: skip
