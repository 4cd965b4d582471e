"""The web server, with limits on what one visitor can hold."""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI

from residency.http.listening import BoundedProtocol

MOST_CONNECTIONS = 200
"""More at once are answered 503."""


def make_settings(app: FastAPI, *, host: str, port: int) -> uvicorn.Config:
    """How the server listens."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
        server_header=False,
    )


def run_server(app: FastAPI, *, host: str, port: int) -> None:
    """Serve an application until interrupted."""
    uvicorn.Server(make_settings(app, host=host, port=port)).run()
