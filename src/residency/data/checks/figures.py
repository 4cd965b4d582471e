"""Figures of the data report: a count, examples to look at, and what to do about it."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field
from typing import Any, Literal

from residency.nouns.example import Example

Level = Literal["info", "warn"]
_CODE = re.compile(r"[{};=<>()\[\]#_\\]")
EXAMPLES = 5
EXCERPT = 160


@dataclass(frozen=True)
class Sighting:
    """One row in which something was seen, and the text around it."""

    source: str
    excerpt: str


@dataclass(frozen=True)
class Figure:
    """One line of the report.

    Attributes:
        name: short and stable, for programs. title: for people.
        rows: rows concerned, of ``of`` that were looked at.
        value: a measured figure where a count is not the point, with its ``unit``.
        examples: rows to look at. action: what one would do about it.
        sampled: only a fixed sample of the rows was looked at.
        details: more, for people: names and counts.
    """

    name: str
    title: str
    rows: int
    of: int
    level: Level = "info"
    value: float | None = None
    unit: str = ""
    examples: tuple[Sighting, ...] = ()
    action: str = ""
    sampled: bool = False
    details: tuple[tuple[str, float], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "name": self.name,
            "title": self.title,
            "rows": self.rows,
            "of": self.of,
            "level": self.level,
            "value": self.value,
            "unit": self.unit,
            "examples": [[e.source, e.excerpt] for e in self.examples],
            "action": self.action,
            "sampled": self.sampled,
            "details": [list(pair) for pair in self.details],
        }


@dataclass(frozen=True)
class View:
    """A row as the meters see it: its number, its texts, and the words of its answer."""

    number: int
    example: Example
    prompt: str
    answer: str
    words: list[str]


@dataclass
class Flags:
    """Rows in which something was seen: their numbers, and the first few with an excerpt."""

    rows: array[int] = field(default_factory=lambda: array("q"))
    examples: list[Sighting] = field(default_factory=list)

    def add(self, view: View, excerpt: str) -> None:
        """One more row."""
        self.rows.append(view.number)
        if len(self.examples) < EXAMPLES:
            self.examples.append(Sighting(view.example.source, shorten_text(excerpt)))

    def merge(self, later: Flags, offset: int) -> None:
        """Add those of later rows."""
        self.rows.extend(row + offset for row in later.rows)
        self.examples += later.examples[: EXAMPLES - len(self.examples)]

    def figure(
        self, name: str, title: str, of: int, action: str, *, level: Level = "warn"
    ) -> Figure:
        """A line of the report; nothing to do when no row was seen."""
        count = len(self.rows)
        return Figure(
            name,
            title,
            count,
            of,
            level if count else "info",
            examples=tuple(self.examples),
            action=action if count else "",
        )


def shorten_text(text: str, size: int = EXCERPT) -> str:
    """On one line, and not longer than ``size`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= size else line[: size - 1] + "…"


def looks_like_code(text: str) -> bool:
    """Whether at least 4 % of its characters are those of program code and markup."""
    return len(_CODE.findall(text)) >= 0.04 * len(text)


def cut_around(text: str, start: int, end: int, margin: int = 40) -> str:
    """An excerpt with what was seen in its middle."""
    left, right = max(0, start - margin), min(len(text), end + margin)
    return ("…" if left else "") + text[left:right] + ("…" if right < len(text) else "")
