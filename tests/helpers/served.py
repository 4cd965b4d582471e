"""A server on a small project, in a thread, for the tests of serving."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from residency.commands.project import Project
from residency.http.listening import open_socket
from residency.serve.hooks import Hooks, RequestObserver, RequestRecord
from residency.serve.open_server import OpenServer, open_server
from residency.serve.run_server import make_server
from server_thread import run_in_thread


class Memory:
    """A RequestObserver that remembers."""

    def __init__(self) -> None:
        self.records: list[RequestRecord] = []

    def request_finished(self, record: RequestRecord) -> None:
        self.records.append(record)

    def close(self) -> None:
        pass

    def wait_for(self, count: int, seconds: float = 20) -> list[RequestRecord]:
        """The records, as soon as there are so many."""
        end = time.monotonic() + seconds
        while len(self.records) < count and time.monotonic() < end:
            time.sleep(0.01)
        return self.records


@dataclass
class Served:
    """A running server."""

    port: int
    opened: OpenServer
    memory: Memory
    project: Project

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=body, timeout=60, **more)

    def chat(self, text: str = "I bought a red cup", **more: Any) -> httpx.Response:
        messages = [{"role": "user", "content": text}]
        return self.post("/v1/chat/completions", {"model": "base", "messages": messages, **more})


@contextmanager
def serve_project(
    folder: Path, monkeypatch: Any, *, key: str = "", inputs: Sequence[Any] = (),
    outputs: Sequence[Any] = (), texts: bool = False, **settings: Any,
) -> Iterator[Served]:  # fmt: skip
    """A server with these settings of ``[serve]`` and these hooks, on a free port."""
    import residency.serve.open_server as opening

    monkeypatch.setenv("RESIDENCY_SERVE_KEY", key)
    memory = Memory()
    observers: tuple[RequestObserver, ...] = (memory,)
    hooks = Hooks(tuple(inputs), tuple(outputs), observers, texts=texts)
    monkeypatch.setattr(opening, "open_hooks", lambda ws: hooks)
    overrides = {f"serve.{name}": value for name, value in settings.items()}
    project = Project.open(folder, overrides=overrides)
    with open_socket("127.0.0.1", 0) as bound:
        opened = open_server(project)
        server = make_server(opened.app, project.config.serve, on_drain=opened.start_draining)
        try:
            with run_in_thread(server, [bound]):
                yield Served(bound.getsockname()[1], opened, memory, project)
        finally:
            opened.close()
            project.store.close()
