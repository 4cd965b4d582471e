"""A recurring failure: a kind within a slice of the examples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from residency.nouns.content_id import content_id
from residency.nouns.example import Example
from residency.nouns.short_view import ShortView


@dataclass(frozen=True)
class Slice:
    """Which examples an issue speaks of.

    ``by`` is ``"all"``, ``"tag"``, ``"cluster"``, ``"field"`` (a class, or a field's value, in the
    reference) or ``"words"`` (of the prompt); ``value`` is the tag, the cluster's name, or the rule.
    ``members`` holds example ids where they cannot be told from the example alone.
    """

    by: Literal["all", "tag", "cluster", "field", "words"] = "all"
    value: str = ""
    members: tuple[str, ...] = ()

    def contains(self, example: Example) -> bool:
        """Whether the example is in the slice."""
        if self.by == "all":
            return True
        if self.by == "tag":
            return self.value in example.tags
        return example.id in self.members

    @property
    def name(self) -> str:
        """How people read it."""
        return "all" if self.by == "all" else self.value


@dataclass(frozen=True, repr=False)
class Issue(ShortView):
    """A recurring failure: a kind within a slice. Its id is stable across rounds.

    ``tolerance`` is the failure rate that the user accepts; ``found_round`` and
    ``reference_model`` say when and in whose responses it was found.
    """

    kind: str
    slice: Slice
    detector: str
    version: str
    tolerance: float
    found_round: int
    reference_model: str
    title: str = ""
    examples: tuple[str, ...] = ()

    @cached_property
    def id(self) -> str:
        """Content hash of kind, slice and detector (not its version)."""
        value = {
            "kind": self.kind,
            "by": self.slice.by,
            "value": self.slice.value,
            "detector": self.detector,
        }
        return content_id("is", value)
