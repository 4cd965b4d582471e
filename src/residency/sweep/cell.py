"""One training of a sweep: which base and settings, how many rows, which seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from residency.nouns.content_id import canonical_json
from residency.nouns.example import Example
from residency.sweep.changed_settings import describe_settings
from residency.text.counts import write_count


@dataclass(frozen=True)
class Variant:
    """A base with settings of ``[train]`` that differ from the project's, by name."""

    base: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How people read it: ``tiny, rank 8``."""
        words = describe_settings(self.settings)
        return f"{self.base}, {words}" if words else self.base

    @property
    def key(self) -> str:
        """Equal for equal variants."""
        return canonical_json([self.base, dict(self.settings)])

    @property
    def work_key(self) -> str:
        """Equal for variants whose steps are the same work: the learning rate changes none of it."""
        return canonical_json(
            [self.base, {k: v for k, v in self.settings.items() if k != "learning_rate"}]
        )


@dataclass(frozen=True)
class Cell:
    """One training: ``rows`` of ``share`` of the train split, drawn and trained with seed ``repeat``."""

    variant: Variant
    rows: int
    share: float
    repeat: int

    @property
    def title(self) -> str:
        """How people read it."""
        return f"{self.variant.name}: {write_count(self.rows, 'row')}, seed {self.repeat + 1}"


def choose_rows(train: Sequence[Example], count: int, seed: int) -> list[Example]:
    """``count`` rows, whole groups first, in the order of the split.

    Under one seed a smaller choice is part of every larger one, and the choice of a row does not
    depend on the others.
    """

    def hash_group(example: Example) -> bytes:
        return sha256(f"{seed}\x1f{example.group or example.id}".encode()).digest()

    chosen = {row.id for row in sorted(train, key=lambda row: (hash_group(row), row.id))[:count]}
    return [row for row in train if row.id in chosen]
