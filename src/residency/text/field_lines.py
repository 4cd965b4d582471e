"""Answers made of ``key: value`` lines, and which values are class labels."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from residency.nouns.example import Example
from residency.text.words import words

_LINE = re.compile(r"^[ \t>*\-]{0,8}([A-Za-z][\w \-]{0,30}?)\**[ \t]{0,8}:(.*)$", re.MULTILINE)
EMPTY = frozenset({"", "none", "n/a", "na", "null", "unknown", "-", "not given", "not mentioned"})
"""Values that say that there is nothing."""
_TEXT_WORDS = 6


@dataclass(frozen=True)
class Field:
    """One ``key: value`` line. ``start:end`` are the value's characters in the text."""

    key: str
    value: str
    start: int
    end: int

    @property
    def empty(self) -> bool:
        """Whether the value says *nothing given*."""
        return self.value.strip(" .").lower() in EMPTY

    @property
    def is_text(self) -> bool:
        """Whether the value is prose (six words or more) rather than a value."""
        return len(words(self.value)) >= _TEXT_WORDS


def fields(text: str) -> dict[str, Field]:
    """Fields by lower-cased key, first occurrence; empty unless at least two lines are fields
    and they are at least half of the non-empty lines."""
    found: dict[str, Field] = {}
    count = 0
    for match in _LINE.finditer(text):
        count += 1
        key = match[1].strip().lower()
        value = match[2].strip(" \t*")
        start = match.start(2) + match[2].find(value)
        found.setdefault(key, Field(key, value, start, start + len(value)))
    lines = sum(1 for line in text.splitlines() if line.strip())
    return found if count >= 2 and 2 * count >= lines else {}


def label_values(examples: Iterable[Example]) -> dict[str, set[str]]:
    """Field → its class labels in the references (lower-cased); free fields are left out.

    A field holds labels when its values are few (each seen three times or more on average) and
    do not come out of the prompt (under 90 % stand there). ``order`` or ``name`` copy the
    prompt, so they are free; ``urgency: high`` is a label.
    """
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    standing: Counter[str] = Counter()
    for example in examples:
        if example.reference is None:
            continue
        prompt = set(words(example.prompt_text))
        for key, field in fields(example.reference).items():
            if field.empty or field.is_text:
                continue
            seen[key][field.value.strip().lower()] += 1
            standing[key] += all(word in prompt for word in words(field.value))
    labels = {}
    for key, values in seen.items():
        total = values.total()
        if standing[key] < 0.9 * total and total >= 3 * len(values):
            labels[key] = set(values)
    return labels
