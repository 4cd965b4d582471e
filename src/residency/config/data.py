"""``[data]``: where the examples are and how they are read."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from residency.config.section import Section


class DataConfig(Section):
    """Where the examples are and how they are read."""

    train: list[str] = []
    """Training files (any supported format)."""
    dev: list[str] = []
    """Development files: errors are found here. Empty: split off from `train`."""
    test: list[str] = []
    """Sealed test files. Empty: split off from `train`."""
    pool: list[str] = []
    """Real examples kept back, from which targeted rows are drawn. Empty: split off from `train`."""
    split: dict[str, float] = {"train": 0.4, "dev": 0.15, "test": 0.15, "pool": 0.3}
    """Shares by which files in `train` are split when the other lists are empty."""
    limit: dict[str, int] = {}
    """Most rows used of a split, e.g. `{train = 250, dev = 150}`; `--full` ignores it."""
    format: str = "auto"
    """Row format, or `auto` to find it by content."""
    columns: dict[str, str] = {}
    """Your column names, e.g. `{instruction = "frage", response = "antwort"}`; also `input`, `tags`, `group`."""
    instruction: str = ""
    """Instruction put before every row that has none of its own."""
    tags: list[str] = []
    """Columns whose values become tags `column=value` (slices)."""
    stratify: str = ""
    """Tag column by which the automatic split is stratified."""
    truncation: Literal["drop", "left", "right"] = "drop"
    """What happens to a row longer than `model.max_length`: dropped and listed, or cut."""
    near_duplicate: float = Field(0.8, gt=0, le=1)
    """Jaccard similarity of word 5-grams from which two rows count as near-duplicates."""
    benchmarks: str = ""
    """Folder with local copies of ARC, HellaSwag, MMLU or TruthfulQA; `residency check` lists training rows that come near them."""
    cluster: str = ""
    """Ray cluster over which `residency check` spreads its passes: `auto`, `host:port`, `ray://…`, or `local` for processes on this machine; empty: this process."""
