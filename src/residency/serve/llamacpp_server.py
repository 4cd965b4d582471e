"""An exported GGUF file behind llama.cpp's server, in this process (the extra ``export``)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from residency.config.serve import ServeConfig
from residency.errors import MissingExtraError, ModelError
from residency.model.gguf_header import check_gguf_header


def run_llamacpp(
    file: Path,
    *,
    host: str,
    port: int,
    keys: Sequence[bytes],
    settings: ServeConfig,
    threads: int,
    context: int,
    on_ready: Callable[[str], None],
) -> None:
    """Serve a file until SIGTERM or Ctrl-C.

    Args:
        context: tokens of one conversation. on_ready: told the server's address.

    Raises:
        MissingExtraError: xllamacpp is not installed. ModelError: llama.cpp refuses the file.
    """
    try:
        import xllamacpp
    except ImportError:
        raise MissingExtraError(
            "llama.cpp is not installed here", next_step="pip install 'residency[export]'"
        ) from None
    if not file.is_file():
        raise ModelError(
            "there is no such file", where=str(file),
            next_step="residency export DIR --format gguf --out FOLDER writes one",
        )  # fmt: skip
    check_gguf_header(file)  # llama.cpp ends the process where some claims do not hold
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(file)
    parameters.model_alias = {file.stem}
    parameters.hostnames, parameters.port = [host.strip("[]")], port
    parameters.api_keys = [key.decode() for key in keys]
    parameters.n_parallel = settings.slots
    parameters.n_ctx = context * settings.slots
    parameters.n_predict = settings.max_tokens
    parameters.endpoint_metrics = True
    parameters.endpoint_slots = parameters.endpoint_props = parameters.ui = False
    # Its default lets every web page ask a server of this machine.
    parameters.cors_origins = "http://localhost"
    parameters.verbosity = -1
    if threads:
        parameters.cpuparams.n_threads = threads
    try:
        server = xllamacpp.Server(parameters)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"llama.cpp does not serve it: {error}", where=str(file)) from None
    ended = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in numbers}
    try:
        on_ready(f"{server.listening_address}/v1")
        while not ended.wait(0.5):
            pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        del server
