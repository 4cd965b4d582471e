"""Which items and answers a query is about."""

from __future__ import annotations

from dataclasses import dataclass

from residency.nouns.example import Split

MOST_NUMBERS = 60
"""Numbers of checks that one question may name; beyond it the caller counts by itself."""


@dataclass(frozen=True)
class ItemFilter:
    """Which answers are spoken of: of a run's split, as they were judged under these scopes.

    ``tag`` and ``members`` (example ids) narrow the items; empty and None take all.
    """

    run: str
    split: Split
    scopes: tuple[str, ...]
    tag: str = ""
    members: tuple[str, ...] | None = None


@dataclass(frozen=True)
class CheckNumbers:
    """Numbers of the checks that say that an answer fails, and that it passes."""

    failed: frozenset[int]
    passed: frozenset[int]

    @property
    def are_few(self) -> bool:
        """Whether a query can name them all."""
        return len(self.failed) + len(self.passed) <= MOST_NUMBERS
