"""Progress on stderr: live bars in a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from residency.cli.terminal import cut_text, errors, format_number, holds_copied_text
from residency.interfaces import WHOLE_RUN, ProgressEvent
from residency.project.stage_pace import StagePace
from residency.secrets import hide_secrets
from residency.text.terminal_text import make_safe

DESCRIPTION = 28
"""Columns for a bar's name; what follows it takes 43 and the bar, the detail what is left."""
FEWEST_BARS, OTHER_LINES = 4, 6
"""Bars that are always kept, and lines of a terminal that are not for bars."""
PLAIN_EVERY = 15.0
"""Seconds between progress lines where there is no terminal."""
ENOUGH_SECONDS, ENOUGH_STEPS = 2.0, 3
"""What has to be seen of a stage before its end is guessed."""


class ProgressDisplay:
    """Shows ``ProgressEvent``s."""

    def __init__(self) -> None:
        self._live = errors.is_terminal
        self._bar = 24 if errors.width >= 120 else 8
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=self._bar),
            TextColumn("{task.fields[amount]:<20}", markup=False),
            TextColumn("{task.fields[rate]:>9}", markup=False),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            TextColumn("{task.fields[detail]}", markup=False),
            console=errors,
        )
        self._tasks: dict[str, TaskID] = {}
        self._pace = StagePace()
        self._printed: dict[str, float] = {}
        self._last_lines: dict[str, tuple[int, int]] = {}
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
        if event.stage == WHOLE_RUN and not self._live:
            if event.done < event.total:
                self._print_plan(event)
            return
        now = time.monotonic()
        seconds, steps = self._pace.measure(event)
        rate = steps / seconds if seconds > 0.5 else 0.0
        detail = "  ".join(
            f"{key} {format_number(value)}"
            for key, value in event.detail.items()
            if key != "trouble"
        )
        detail = make_safe(hide_secrets(detail))
        trouble = event.detail.get("trouble")
        if trouble and trouble not in self._told:  # each kind once: it may come with every request
            self._told.add(str(trouble))
            self.say(f"{event.stage}: {trouble}")
        if self._live:
            self._show_bar(event, rate, detail)
        else:
            enough = seconds >= ENOUGH_SECONDS and steps >= ENOUGH_STEPS
            self._print_line(event, now, rate, enough, detail)

    def say(self, line: str) -> None:
        """A line above the bars."""
        where = self._bars.console if self._live else errors
        stays_whole = not where.is_terminal or holds_copied_text(line)
        where.print(make_safe(hide_secrets(line)), soft_wrap=stays_whole)

    def _print_plan(self, event: ProgressEvent) -> None:
        """Where the whole run is, each time a stage begins."""
        left = f", {event.detail['left']} left" if "left" in event.detail else ""
        self.say(f"stage {event.done + 1} of {event.total}: {event.detail['now']}{left}")

    def _print_line(
        self, event: ProgressEvent, now: float, rate: float, enough: bool, detail: str
    ) -> None:
        """A line at the end of a stage, and now and then before; never the same twice. Where the
        end is not known (``total`` is 0) only what takes long is told."""
        is_end = bool(event.total) and event.done >= event.total
        since = now - self._printed.setdefault(event.stage, now)
        if (not is_end and since <= PLAIN_EVERY) or self._last_lines.get(event.stage) == (
            event.done,
            event.total,
        ):
            return
        self._printed[event.stage] = now
        self._last_lines[event.stage] = (event.done, event.total)
        of = f"/{event.total}" if event.total else ""
        parts = [f"{event.stage}: {event.done}{of} {event.unit}"]
        if rate:
            parts.append(f"{rate:.1f}/s")
        if not is_end and enough and event.total:
            parts.append(f"{(event.total - event.done) / rate:.0f} s left")
        line = ", ".join(parts) + (f"  {detail}" if detail else "")
        errors.print(line, soft_wrap=True)

    def _drop_finished_bars(self) -> None:
        """Make room: of hundreds of jobs, each with its bars, those that go on have to be seen."""
        most = max(FEWEST_BARS, errors.height - OTHER_LINES)
        finished = {task.id for task in self._bars.tasks if task.finished}
        for stage, task in list(self._tasks.items()):
            if len(self._tasks) < most:
                break
            if task in finished and stage != WHOLE_RUN:
                self._bars.remove_task(self._tasks.pop(stage))

    def _show_bar(self, event: ProgressEvent, rate: float, detail: str) -> None:
        if event.stage == WHOLE_RUN:  # its stages are of unlike length: no rate
            rate, detail = 0.0, f"{event.detail.get('left', '')}"
        task = self._tasks.get(event.stage)
        if task is None:
            self._drop_finished_bars()
            task = self._tasks[event.stage] = self._bars.add_task(
                cut_text(make_safe(event.stage), DESCRIPTION),
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
            detail=cut_text(detail, errors.width - self._bar - DESCRIPTION - 43),
        )
