"""Children that hear signals, however the tests were started."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hear_signal(number: int) -> Iterator[None]:
    """Processes started inside have the signal's default; under nohup or ``&`` they would ignore it."""
    before = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)
