"""``[evaluate]``: the suite and its embedder."""

from __future__ import annotations

from pydantic import Field

from residency.config.section import Section


class EvaluateConfig(Section):
    """How answers are scored."""

    suite: str = ""
    """Path of the test suite (TOML or JSONL); empty: exact match and similarity with the reference."""
    few_shot: int = Field(4, ge=0)
    """Examples in the few-shot prompt of round 0; 0 leaves that baseline out."""
    embedder: str = ""
    """Compares meanings: empty for WordLlama (offline), `sentence-transformers:NAME`, or `endpoint`."""
