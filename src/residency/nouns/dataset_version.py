"""An immutable manifest of training rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from residency.nouns.content_id import content_id
from residency.nouns.short_view import ShortView


@dataclass(frozen=True, repr=False)
class DatasetVersion(ShortView):
    """Immutable manifest of training rows. ``rows`` are example ids in training order."""

    rows: tuple[str, ...]
    template_hash: str
    tokenizer_hash: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None
    note: str = ""

    @cached_property
    def id(self) -> str:
        """Content hash of rows, template, tokenizer and settings."""
        return content_id(
            "ds",
            {
                "rows": list(self.rows),
                "template": self.template_hash,
                "tokenizer": self.tokenizer_hash,
                "settings": dict(self.settings),
            },
        )
