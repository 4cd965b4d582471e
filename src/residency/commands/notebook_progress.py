"""How far long work is, in a notebook: two bars that are drawn again, without being asked for."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from html import escape
from typing import Any

from residency.interfaces import WHOLE_RUN, Progress, ProgressEvent, no_progress
from residency.results.number_formats import format_duration
from residency.secrets import hide_secrets

EVERY = 0.3
"""Seconds between two drawings."""


def choose_progress() -> Progress:
    """The bars where Python runs in a notebook's kernel, silence elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "kernel"):  # a terminal's IPython has none
        return no_progress
    return NotebookProgress()


class NotebookProgress:
    """Shows ``ProgressEvent``s in the cell that runs: the whole run, and the stage at hand."""

    def __init__(self) -> None:
        self._draw: Callable[[Any], Any] | None = None
        self._drawn = 0.0
        self._began: dict[str, tuple[float, int]] = {}
        self._lines: dict[str, str] = {}
        self._stage = ""

    def __call__(self, event: ProgressEvent) -> None:
        now = time.monotonic()
        start, first = self._began.setdefault(event.stage, (now, event.done))
        if event.done < first:  # a stage of the same name began anew
            start, first = self._began[event.stage] = (now, event.done)
        is_whole = event.stage == WHOLE_RUN
        left = event.detail.get("left") if is_whole else None
        steps = event.done - first
        if not is_whole and steps and now - start > 1 and event.done < event.total:
            left = f"{format_duration((now - start) / steps * (event.total - event.done))} left"
        self._lines[WHOLE_RUN if is_whole else "stage"] = _write_line(event, str(left or ""))
        is_new, self._stage = event.stage != self._stage, event.stage
        if is_new or event.done >= event.total or now - self._drawn >= EVERY:
            self._drawn = now
            self._show("".join(self._lines[key] for key in sorted(self._lines, reverse=True)))

    def _show(self, html: str) -> None:
        # IPython is there, since it runs this; nobody else needs it.
        from IPython.display import HTML, display

        if self._draw is None:
            self._draw = display(HTML(html), display_id=True).update
        else:
            self._draw(HTML(html))


def _write_line(event: ProgressEvent, left: str) -> str:
    shown = {k: v for k, v in event.detail.items() if k not in ("trouble", "left")}
    figures = [
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in shown.items()
    ]
    amount = f"{event.done:,}/{event.total:,} {event.unit}"
    words = " · ".join(part for part in (event.stage, amount, *figures, left) if part)
    bar = f'<progress value="{event.done}" max="{max(1, event.total)}"></progress>'
    return f"<div>{bar} {escape(hide_secrets(words))}</div>"
