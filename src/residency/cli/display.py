"""What the terminal shows: progress with rate and time left, tables, numbers."""

from __future__ import annotations

import sys
import time
import unicodedata
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from residency.types import ProgressEvent

console = Console()
"""Where results go (stdout)."""
errors = Console(stderr=True)
"""Where progress goes (stderr), so that ``--json`` stays clean."""

PLAIN_EVERY = 15.0
"""Seconds between progress lines where there is no terminal."""


class ProgressDisplay:
    """Shows ``ProgressEvent``s: live bars in a terminal, now and then a line elsewhere."""

    def __init__(self) -> None:
        self._live = errors.is_terminal
        self._bars = Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[amount]:<20}"),
            TextColumn("{task.fields[rate]:>12}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            TextColumn("{task.fields[detail]}"),
            console=errors,
        )
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, tuple[float, int]] = {}
        self._printed: dict[str, float] = {}

    def __enter__(self) -> ProgressDisplay:
        if self._live:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._bars.stop()

    def __call__(self, event: ProgressEvent) -> None:
        now = time.monotonic()
        start, first = self._started.setdefault(event.stage, (now, event.done))
        if event.done < first:  # a stage of the same name began anew
            start, first = self._started[event.stage] = (now, event.done)
        seconds = now - start
        rate = (event.done - first) / seconds if seconds > 0.5 else 0.0
        detail = "  ".join(f"{key} {_number(value)}" for key, value in event.detail.items())
        if self._live:
            self._show(event, rate, detail)
        elif event.total and (
            event.done >= event.total or now - self._printed.get(event.stage, start) > PLAIN_EVERY
        ):
            self._printed[event.stage] = now
            left = (event.total - event.done) / rate if rate else 0.0
            errors.print(
                f"{event.stage}: {event.done}/{event.total} {event.unit}, {rate:.1f}/s, "
                f"{left:.0f} s left  {detail}",
                highlight=False,
                markup=False,
            )

    def say(self, line: str) -> None:
        """A line above the bars."""
        (self._bars.console if self._live else errors).print(line, highlight=False, markup=False)

    def _show(self, event: ProgressEvent, rate: float, detail: str) -> None:
        task = self._tasks.get(event.stage)
        if task is None:
            task = self._tasks[event.stage] = self._bars.add_task(
                event.stage, total=event.total or None, amount="", rate="", detail=""
            )
        of = f"/{event.total:<6}" if event.total else " " * 7  # 0: not known beforehand
        self._bars.update(
            task,
            completed=event.done,
            total=event.total or None,
            amount=f"{event.done:>6}{of} {event.unit}",
            rate=f"{rate:.1f}/s" if rate else "",
            detail=detail,
        )


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def percent(value: float | None) -> str:
    """``0.1234`` → ``12.3 %``; an en dash where there is nothing."""
    return "–" if value is None else f"{100 * value:.1f} %"


def interval(low: float, high: float, *, sign: bool = False) -> str:
    """An interval in percentage points."""
    form = "+.1f" if sign else ".1f"
    return f"[{100 * low:{form}}, {100 * high:{form}}]"


def print_json(text: str) -> None:
    """JSON on stdout, as it is."""
    sys.stdout.write(text + "\n")


def safe(text: str) -> str:
    """A model's text without control characters, which could drive the terminal."""
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf") else "\ufffd" for c in text
    )
