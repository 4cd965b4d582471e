"""``[project]``: whose project it is, and its seed."""

from __future__ import annotations

from pydantic import Field

from residency.config.secret_url import SecretUrl
from residency.config.section import Section
from residency.config.value_types import DatabaseAddress, SharedPlace


class ProjectConfig(Section):
    """Whose project it is, and its seed."""

    name: str = "residency"
    """Name shown in reports."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Seed of everything random; the same seed repeats a run bit for bit on CPU."""
    store: DatabaseAddress = SecretUrl("")
    """Database URL for a team (PostgreSQL), its password best as `${NAME}` from the environment; empty means the SQLite file in `.residency/`."""
    artifacts: SharedPlace = SecretUrl("")
    """Where a team shares its trained adapters, beside `store`: a folder that every machine has mounted, or an fsspec URL such as `s3://bucket/path`; empty means that each stays on the machine that trained it."""
    plugins: list[str] = []
    """Python files, relative to this one, that add detectors, rules, layouts, selectors or benchmark tasks; they run when the project is opened."""
