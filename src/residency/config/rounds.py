"""``[rounds]``: how many rounds, and what guards them."""

from __future__ import annotations

from pydantic import Field

from residency.config.section import Section


class RoundsConfig(Section):
    """The budget."""

    max: int = Field(2, ge=1)
    """Most fine-tuning rounds (round 0, the prompted base, is not counted)."""
    trainings: int = Field(1, ge=1, le=50)
    """Trainings of each arm (targeted rows, random rows) after the last round: other seeds, for random rows other draws as well. From 4 on they can tell what the *data* did."""
    minutes: float = Field(0.0, ge=0)
    """Minutes for those trainings: as many as fit, at most `trainings`, or 8 where that is 1; 0: no limit."""
    runs: int = Field(1, ge=1)
    """Runs on the same dev and test rows that share `diagnose.alpha` in equal parts; later ones get a falling share of one part more."""
    guard: list[str] = []
    """Benchmarks on which base and final model are compared at the end (has it forgotten?): `everyday`, which ships and which `init` names, task files, or those in `data.benchmarks`, e.g. `["arc_easy"]`."""
    guard_items: int = Field(200, ge=1)
    """Items of each of them, the first ones, asked without examples."""
    replay_control: bool = True
    """Where general rows are trained (`data.replay`) and `guard` names benchmarks: also train the final rows without them, to show what they did."""
