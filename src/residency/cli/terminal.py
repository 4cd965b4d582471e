"""The way out to the terminal: what anybody wrote passes through ``make_safe`` on it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderResult
from rich.padding import Padding
from rich.rule import Rule
from rich.segment import Segment
from rich.text import Text

from residency.secrets import hide_secrets_in_data, mask_addresses
from residency.text.terminal_text import escape_in_json, make_safe

__all__ = [
    "console",
    "cut_text",
    "errors",
    "format_interval",
    "format_number",
    "make_safe",
    "print_heading",
    "print_indented",
    "print_json",
    "print_line",
    "quote_path",
]

PIPE_WIDTH = 400
"""Columns where nobody looks: a line in a pipe is broken by no one but its reader."""


class SafeRenderable:
    """Anything that rich can show, with every piece of text made safe after it is laid out."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.inner, options):
            if segment.control:
                yield segment
            else:
                yield Segment(make_safe(hide_secrets_in_data(segment.text)), segment.style)


class _SafeHook:
    """Wraps all that is printed; rich calls it before every print."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [SafeRenderable(renderable) for renderable in renderables]


class SafeConsole(Console):
    """A console on which text is text: no markup, no emoji codes, no control characters.

    Where there is no terminal, lines are as long as they are.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)
        self.push_render_hook(_SafeHook())  # type: ignore[arg-type]

    @property
    def size(self) -> Any:
        """Width and height; wide where nobody looks."""
        size = super().size
        if self.is_terminal or "COLUMNS" in os.environ:
            return size
        return type(size)(PIPE_WIDTH, size.height)

    @size.setter
    def size(self, new_size: Any) -> None:
        self._width, self._height = new_size

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.size.width)

    @width.setter
    def width(self, width: int) -> None:
        self._width = width

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich prints; where nobody looks, no text is broken, however long it is.

        A table that does not fit is narrowed, or written row by row.
        """
        looked_at = self.is_terminal or "COLUMNS" in os.environ
        if looked_at and "rich.table" in sys.modules:
            from residency.cli.fitted_table import fit_table

            objects = tuple(fit_table(item, self.width) for item in objects)
        if not looked_at and all(isinstance(item, str | Text) for item in objects):
            options.setdefault("soft_wrap", True)
        super().print(*objects, **options)

    def input(self, *args: Any, **options: Any) -> str:
        """As rich asks; where stdin or stdout is closed there is nothing to read.

        Raises:
            EOFError: nobody can answer.
        """
        if sys.stdin is None or sys.stdout is None:
            raise EOFError
        return super().input(*args, **options)

    def on_broken_pipe(self) -> None:
        """The reader has seen enough; the command line ends without complaint."""
        raise BrokenPipeError


_COPIED = re.compile(r"\bresidency [a-z]|[/\\]|\w = ")

console = SafeConsole()
"""Where results go (stdout)."""
errors = SafeConsole(stderr=True)
"""Where progress goes (stderr), so that ``--json`` stays clean."""


def print_line(text: str, style: str = "") -> None:
    """A line of a result; one with a command, a path or a setting stays whole, so that it can be copied.

    The terminal itself breaks such a line where it ends; other sentences are broken between words.
    """
    stays_whole = not console.is_terminal or holds_copied_text(text)
    console.print(Text(text, style=style), soft_wrap=stays_whole)


def holds_copied_text(text: str) -> bool:
    """Whether a line holds what people copy: a command, a path or a setting."""
    return _COPIED.search(text) is not None


def print_heading(text: str) -> None:
    """A title with a rule, where there is a terminal to rule."""
    if console.is_terminal:
        console.print(Rule(Text(make_safe(text)), align="left"))
    else:
        print_line(f"── {text}")


def print_indented(text: Text, columns: int) -> None:
    """Lines set in from the left, also where a terminal breaks them."""
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, columns), expand=False))
        return
    for line in text.split():
        console.print(Text(" " * columns) + line, soft_wrap=True)


def print_json(text: str) -> None:
    """JSON on stdout, with the name of its shape first (``residency.status/1``; docs/json.md).

    Rows stand in an object under ``rows``. What could drive a terminal is written as ``\\uXXXX``.
    """
    from residency.cli.json_schemas import add_schema, running_command

    text = add_schema(text, running_command.get())
    sys.stdout.write(escape_in_json(hide_secrets_in_data(mask_addresses(text))) + "\n")
    sys.stdout.flush()


def quote_path(path: Path | str) -> str:
    """A path as it can be pasted into a shell."""
    import shlex

    return shlex.quote(str(path))


def cut_text(text: str, room: int) -> str:
    """The text in so many columns, or nothing where too little of it would be seen."""
    if len(text) <= room:
        return text
    return text[: room - 1] + "…" if room > 5 else ""


def format_number(value: float | str) -> str:
    """A figure of any size in a few letters."""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def format_interval(low: float, high: float, *, sign: bool = False) -> str:
    """An interval in percentage points."""
    form = "+.1f" if sign else ".1f"
    return f"[{100 * low:{form}}, {100 * high:{form}}]"
