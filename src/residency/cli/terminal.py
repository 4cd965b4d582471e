"""What the terminal shows: progress with rate and time left, tables, numbers."""

from __future__ import annotations

import sys
import time
import unicodedata
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from residency.interfaces import ProgressEvent

console = Console()
"""Where results go (stdout)."""
errors = Console(stderr=True)
"""Where progress goes (stderr), so that ``--json`` stays clean."""

DESCRIPTION = 28
"""Columns for a bar's name; what follows it takes 43 and the bar, the detail what is left."""
PLAIN_EVERY = 15.0
"""Seconds between progress lines where there is no terminal."""


class ProgressDisplay:
    """Shows ``ProgressEvent``s: live bars in a terminal, now and then a line elsewhere."""

    def __init__(self) -> None:
        self._live = errors.is_terminal
        self._bar = 24 if errors.width >= 120 else 8
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=self._bar),
            TextColumn("{task.fields[amount]:<20}"),
            TextColumn("{task.fields[rate]:>9}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            TextColumn("{task.fields[detail]}"),
            console=errors,
        )
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, tuple[float, int]] = {}
        self._printed: dict[str, float] = {}
        self._told: set[str] = set()

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
        detail = "  ".join(
            f"{key} {_number(value)}" for key, value in event.detail.items() if key != "trouble"
        )
        trouble = event.detail.get("trouble")
        if trouble and trouble not in self._told:  # each kind once: it may come with every request
            self._told.add(str(trouble))
            self.say(safe(f"{event.stage}: {trouble}"))
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
                _cut(event.stage, DESCRIPTION),
                total=event.total or None,
                amount="",
                rate="",
                detail="",
            )
        of = f"/{event.total:<6}" if event.total else " " * 7  # 0: not known beforehand
        self._bars.update(
            task,
            completed=event.done,
            total=event.total or None,
            amount=f"{event.done:>6}{of} {event.unit}",
            rate=f"{rate:.1f}/s" if rate else "",
            detail=_cut(detail, errors.width - self._bar - DESCRIPTION - 43),
        )


def _cut(text: str, room: int) -> str:
    """The text in so many columns, or nothing where too little of it would be seen."""
    if len(text) <= room:
        return text
    return text[: room - 1] + "…" if room > 5 else ""


def _number(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


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


_HARMLESS = "\n\t\u200c\u200d"
"""Line breaks, and the joiners that emoji and Persian are written with."""


def safe(text: str) -> str:
    """A model's text without control characters, which could drive the terminal."""
    return "".join(
        c if c in _HARMLESS or unicodedata.category(c) not in ("Cc", "Cf") else "\ufffd"
        for c in text
    )
