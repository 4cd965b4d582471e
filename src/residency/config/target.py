"""``[target]``: how rows are chosen for an issue."""

from __future__ import annotations

from pydantic import Field

from residency.config.section import Section


class TargetConfig(Section):
    """How rows are chosen for issues that persist."""

    selector: str = "auto"
    """How pool rows are chosen: auto (for the parts of the task that fail, by predicted fall), slice (an equal budget a slice), embedding (near the failures), loss, loss-drop, gradient, or a plugin's name."""
    rows_per_issue: int = Field(24, ge=1)
    """Most targeted rows an issue; with `auto`, a part of the task that asks."""
    max_rows: int = Field(120, ge=1)
    """Most targeted rows a round."""
    control: bool = True
    """Also train a control arm with exactly as many random pool rows."""
    teacher_license: str = ""
    """Licence or terms under which the teacher's answers may be used (SPDX, or a name), for cards of exported models."""
    review: bool = False
    """Wait before a round that trains proposed rows until a person has looked at them (`residency rows`, `residency web`); rows that a teacher or templates made join train only once they are looked at."""
