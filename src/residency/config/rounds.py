"""``[rounds]``: how many rounds, and what guards them."""

from __future__ import annotations

from pydantic import Field

from residency.config.section import Section


class RoundsConfig(Section):
    """The budget."""

    max: int = Field(2, ge=1)
    """Most fine-tuning rounds (round 0, the prompted base, is not counted)."""
    guard: list[str] = []
    """Benchmarks in `data.benchmarks` on which base and final model are compared at the end (has it forgotten?), e.g. `["arc_easy"]`."""
    guard_items: int = Field(200, ge=1)
    """Items of each of them, the first ones, asked without examples."""
