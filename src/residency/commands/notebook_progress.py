"""How far long work is, in a notebook: two bars that redraw themselves."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from html import escape
from importlib import import_module
from typing import Any

from residency.interfaces import WHOLE_RUN, Progress, ProgressEvent, no_progress
from residency.project.stage_pace import StagePace
from residency.results.number_formats import format_duration
from residency.secrets import hide_secrets

EVERY = 0.3
"""Seconds between two drawings."""
MOST_TROUBLES = 5
"""Lines of what went wrong that stay in sight."""


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
        self._pace = StagePace()
        self._whole = self._now = self._stage = ""
        self._troubles: list[str] = []

    def __call__(self, event: ProgressEvent) -> None:
        now = time.monotonic()
        seconds, steps = self._pace.measure(event)
        if (
            event.stage == WHOLE_RUN
        ):  # its stages are of unlike length, so it says itself what is left
            self._whole = _write_line(event, str(event.detail.get("left", "")))
        else:
            going = steps and seconds > 1 and event.done < event.total
            left = seconds / steps * (event.total - event.done) if going else 0.0
            self._now = _write_line(event, f"{format_duration(left)} left" if left else "")
        self._note_trouble(event)
        is_new, self._stage = event.stage != self._stage, event.stage
        if is_new or event.done >= event.total or now - self._drawn >= EVERY:
            self._drawn = now
            self._show("".join((self._whole, self._now, *self._troubles)))

    def _note_trouble(self, event: ProgressEvent) -> None:
        """Each kind once, as it may come with every request; the last few stay in sight."""
        if trouble := event.detail.get("trouble"):
            line = f"<div>{escape(hide_secrets(f'{event.stage}: {trouble}'))}</div>"
            if line not in self._troubles:
                self._troubles = [*self._troubles, line][-MOST_TROUBLES:]
                self._drawn = 0.0

    def _show(self, html: str) -> None:
        # IPython is there, since it runs this; nobody else needs it, nor its types.
        shown: Any = import_module("IPython.display")
        if self._draw is None:
            self._draw = shown.display(shown.HTML(html), display_id=True).update
        else:
            self._draw(shown.HTML(html))


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
