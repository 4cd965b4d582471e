"""``[project]``: whose project it is, and its seed."""

from __future__ import annotations

from residency.config.section import Section


class ProjectConfig(Section):
    """Whose project it is, and its seed."""

    name: str = "residency"
    """Name shown in reports."""
    seed: int = 0
    """Seed of everything random; the same seed repeats a run bit for bit on CPU."""
    store: str = ""
    """Database URL for a team (PostgreSQL); empty means the SQLite file in `.residency/`."""
