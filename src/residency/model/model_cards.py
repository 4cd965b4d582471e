"""Model cards of the known bases: what they are, from which data, for what, and their limits."""

from __future__ import annotations

from importlib import resources


def read_card(name: str) -> str:
    """The card of a known base in Markdown; empty for any other model."""
    path = resources.files("residency.model") / "cards" / f"{name}.md"
    return path.read_text(encoding="utf-8") if path.is_file() else ""
