"""How fast each stage of long work goes, told by its events."""

from __future__ import annotations

import time

from residency.interfaces import ProgressEvent


class StagePace:
    """Remembers where each stage began; the same name with less done than before begins anew."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[float, int]] = {}
        self._done: dict[str, int] = {}

    def measure(self, event: ProgressEvent) -> tuple[float, int]:
        """Seconds since the stage was first heard of, and what was done in them."""
        now = time.monotonic()
        start, first = self._began.setdefault(event.stage, (now, event.done))
        if event.done < self._done.get(event.stage, 0):
            start, first = self._began[event.stage] = (now, event.done)
        self._done[event.stage] = event.done
        return now - start, event.done - first
