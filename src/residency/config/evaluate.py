"""``[evaluate]``: the suite and its embedder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from residency.config.section import Section
from residency.config.value_types import Embedder


class EvaluateConfig(Section):
    """How answers are scored."""

    suite: str = ""
    """Path of the test suite (TOML or JSONL); empty: exact match and similarity with the reference."""
    few_shot: int = Field(4, ge=0)
    """Examples in the few-shot prompt of round 0; 0 leaves that baseline out."""
    embedder: Embedder = ""
    """Compares meanings: empty for WordLlama (offline), `sentence-transformers:NAME`, or `endpoint`."""
    reasoning: Literal["remove", "keep"] = "remove"
    """What is judged of an answer that reasons first (`<think>…</think>` and the like): `remove` takes the reasoning out before rules, detectors and judges, `keep` judges all of it."""
    outside_code: bool = False
    """Let the suite run Python files that lie outside the project's folder."""
    reduce: Literal["majority", "any", "all"] = "majority"
    """When an item of several sampled answers fails: at least half of them do, any does, or all do."""
