"""``[diagnose]``: detectors, issues and tolerances."""

from __future__ import annotations

from pydantic import Field

from residency.config.section import Section


class DiagnoseConfig(Section):
    """How errors become issues, and when an issue counts as resolved."""

    alpha: float = Field(0.05, gt=0, lt=1)
    """Chance, over the whole project, of any false *resolved*, *improved* or *regressed*."""
    tolerance: float = Field(0.05, ge=0, lt=1)
    """Failure rate that you accept for an issue."""
    min_rate: float = Field(0.1, ge=0, le=1)
    """Failure rate from which a kind within a slice becomes an issue."""
    min_items: int = Field(5, ge=1)
    """Fewest failing items (paraphrases count once) from which a kind within a slice becomes an issue."""
    max_issues: int = Field(12, ge=1)
    """Most issues kept a round: the common and the catastrophic first."""
    detectors: list[str] = []
    """Detectors to run; empty means all."""
    finding_share: float = Field(0.4, gt=0, lt=1)
    """Share of dev that finds issues; the rest measures what becomes of them."""
    misspelling_words: int = Field(1, ge=1)
    """Misspelt words from which an answer fails."""
    overlong_ratio: float = Field(1.6, gt=1)
    """Length, in words, against the reference from which an answer is overlong."""
    overlong_slack: int = Field(8, ge=0)
    """Words that an answer may always exceed its reference by."""
    repetition_share: float = Field(0.25, gt=0, le=1)
    """Share of repeated 4-grams of words from which an answer is repetitive."""
    repetition_tandem: int = Field(3, ge=2)
    """Times in a row that an answer may not end on the same words."""
    similar: float = Field(0.75, gt=0, le=1)
    """Cosine similarity of embeddings from which two free answers count as the same."""
