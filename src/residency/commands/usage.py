"""``residency usage``: what a project's server was used for, and how far its moderation can be trusted."""

from __future__ import annotations

import contextlib
import time

from residency.errors import StoreError
from residency.project.workspace import Workspace
from residency.results.usage import DAY, Usage, read_usage


def usage(ws: Workspace, *, days: float = 30.0, price_per_hour: float | None = None) -> Usage:
    """A project's use in the last days. Texts whose days are over are deleted first.

    Args:
        price_per_hour: of the machine; default: the settings'.

    Raises:
        StoreError: the store cannot be read.
    """
    now = time.time()
    with contextlib.suppress(StoreError):  # a folder that cannot be written can still be read
        ws.store.forget_texts(now - ws.config.serve.keep_days * DAY, now)
    price = ws.config.serve.machine_price if price_per_hour is None else price_per_hour
    return read_usage(ws.store, days=days, price_per_hour=price, now=now)
