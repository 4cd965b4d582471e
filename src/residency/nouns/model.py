"""A base, perhaps with an adapter, and how it is prompted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from residency.nouns.content_id import content_id
from residency.nouns.short_view import ShortView


@dataclass(frozen=True, repr=False)
class Model(ShortView):
    """A base, perhaps with an adapter, and how it is prompted.

    Attributes:
        base: identity of the base weights (name and checksum, see ``model.base``).
        prompting: ``"zero-shot"`` or ``"few-shot:K:HASH"``; a fine-tuned model is prompted zero-shot.
        adapter: artifact hash of the adapter (or full weights), None for a bare base.
        dataset: id of the dataset version it was trained on, None for a bare base.
        seed: seed of its training.
        round: the round that made it.
        arm: ``"main"`` or ``"control"``.
        settings: the full training settings, for the record.
    """

    base: str
    prompting: str = "zero-shot"
    adapter: str | None = None
    dataset: str | None = None
    seed: int = 0
    round: int = 0
    arm: str = "main"
    settings: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def id(self) -> str:
        """Content hash of what determines the outputs."""
        return content_id(
            "m",
            {
                "base": self.base,
                "prompting": self.prompting,
                "adapter": self.adapter,
                "dataset": self.dataset,
                "seed": self.seed,
                "settings": dict(self.settings),
            },
        )
