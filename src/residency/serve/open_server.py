"""A project's server, put together: engine, models, hooks, application."""

from __future__ import annotations

import os
from dataclasses import dataclass

from fastapi import FastAPI

from residency.infer.live_engine import LiveEngine
from residency.model.thread_spinning import run_in_ending_thread
from residency.project.workspace import Workspace
from residency.secrets import remember_secret
from residency.serve.answer_request import Service
from residency.serve.app import Server, create_app
from residency.serve.catalogue import list_served_models
from residency.serve.feedback_routes import make_feedback_routes
from residency.serve.metrics import Metrics
from residency.serve.open_hooks import open_hooks
from residency.serve.request_guard import read_keys
from residency.serve.request_records import RequestRecords
from residency.serve.scheduler import Scheduler

_MEGABYTE = 1 << 20


@dataclass(frozen=True)
class OpenServer:
    """An application whose engine is running. ``close`` ends it."""

    app: FastAPI
    server: Server

    @property
    def models(self) -> list[str]:
        """Names of the served models."""
        return self.server.service.catalogue.names

    @property
    def notes(self) -> list[str]:
        """Which stored models are not served, and why."""
        return self.server.service.catalogue.notes

    def start_draining(self) -> None:
        """Health says from now on that no new work should be sent."""
        self.server.draining = True

    def close(self) -> None:
        """End the threads; records that are not told yet are told."""
        self.server.service.scheduler.stop()
        self.server.service.preparing.shutdown(wait=False, cancel_futures=True)
        self.server.service.records.close()


def read_server_keys(ws: Workspace, host: str) -> tuple[bytes, ...]:
    """The keys that clients must send, from the environment; none on this machine alone.

    Raises:
        ConfigError: none is set and others could reach the server, or one is too short.
    """
    name = ws.config.serve.key_env
    text = os.environ.get(name, "") if name else ""
    for key in text.split(","):
        remember_secret(key.strip())
    return read_keys(text, host, name or "RESIDENCY_SERVE_KEY")


def open_server(ws: Workspace, *, host: str = "127.0.0.1", preload: str = "final") -> OpenServer:
    """Load the base (and one model beside it) and make the application.

    Args:
        preload: a model that is loaded before the first request, where there is one of this name.

    Raises:
        ConfigError: no key although others could reach the server; a setting of moderation or log.
        ModelError: the base or the preloaded model cannot be loaded.
    """
    settings = ws.config.serve
    keys = read_server_keys(ws, host)
    catalogue = list_served_models(ws)
    live = run_in_ending_thread(
        lambda: LiveEngine(
            ws.engine,
            slots=settings.slots,
            cache_bytes=settings.cache_mb * _MEGABYTE,
            prompt_bytes=settings.prompt_cache_mb * _MEGABYTE,
            tokenizer=ws.base.tokenizer(),
        )
    )
    hooks = open_hooks(ws)
    scheduler = Scheduler(live, slots=settings.slots, queue=settings.queue, models=settings.models)
    if preload in catalogue.names:
        scheduler.preload(catalogue.find(preload))
    metrics = Metrics(
        lambda: scheduler.open_runs - scheduler.waiting_runs, lambda: scheduler.waiting_runs
    )
    service = Service(
        live, scheduler, catalogue, settings, hooks,
        RequestRecords((metrics, *hooks.observers)), ws.config.generate.temperature,
    )  # fmt: skip
    server = Server(service, metrics, lambda: ws.embedder)
    app = create_app(server, keys=keys, routes=(make_feedback_routes(ws.store),))
    return OpenServer(app, server)
