"""One row suggested for an issue, with provenance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from residency.nouns.content_id import content_id
from residency.nouns.example import Example
from residency.nouns.short_view import ShortView


@dataclass(frozen=True, repr=False)
class Proposal(ShortView):
    """One row suggested for an issue, with provenance.

    ``origin`` is ``pool``, ``person``, ``teacher`` or ``template``; ``selector`` names the method;
    ``near`` is the failing example that drew it; ``part`` the slice of the issue that it was drawn
    for, as ``by: value``, where that is less than that of the issue; ``accepted`` is False with a ``reason``
    when the firewall or a person turned it down. ``arm`` is ``main`` or ``control``.
    """

    issue: str
    example: Example
    origin: str
    selector: str
    score: float
    near: str = ""
    arm: str = "main"
    accepted: bool = True
    reason: str = ""
    part: str = ""

    @cached_property
    def id(self) -> str:
        """Content hash of issue, row and arm."""
        return content_id("p", {"issue": self.issue, "example": self.example.id, "arm": self.arm})
