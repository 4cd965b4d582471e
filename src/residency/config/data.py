"""``[data]``: where the examples are and how they are read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from residency.config.secret_url import SecretUrl
from residency.config.section import Section
from residency.config.value_types import ClusterAddress
from residency.nouns.example import DealtSplit, Split


class DataConfig(Section):
    """Where the examples are and how they are read."""

    train: list[SecretUrl] = []
    """Training files (any supported format), folders, or addresses of databases; `${NAME}` in an address is taken from the environment."""
    dev: list[SecretUrl] = []
    """Development files: errors are found here. Empty: split off from `train`."""
    test: list[SecretUrl] = []
    """Sealed test files. Empty: split off from `train`."""
    pool: list[SecretUrl] = []
    """Real examples kept back, from which targeted rows are drawn. Empty: split off from `train`."""
    replay: list[SecretUrl] = []
    """General rows, of no one task, such as those that the base was tuned on: a share of them (`train.replay`) is trained with every training, against forgetting."""
    split: dict[DealtSplit, Annotated[float, Field(ge=0)]] = {
        "train": 0.4,
        "dev": 0.15,
        "test": 0.15,
        "pool": 0.3,
    }
    """Shares by which files in `train` are split when the other lists are empty."""
    limit: dict[Split, Annotated[int, Field(ge=0)]] = {}
    """Most rows used of a split, e.g. `{train = 250, dev = 150}`; `--full` ignores it."""
    most_rows: int = Field(1_000_000, ge=1)
    """Most rows that are read of a split; a file with more is refused, since small archives can hold billions."""
    license: str = ""
    """Licence of the rows (SPDX, such as `CC-BY-4.0`), for cards of exported models; empty: read from a README.md or LICENSE beside the files."""
    format: str = "auto"
    """Row format, or `auto` to find it by content."""
    columns: dict[str, str] = {}
    """Your column names, e.g. `{instruction = "frage", response = "antwort"}`; also `input`, `tags`, `group`."""
    instruction: str = ""
    """Instruction put before every row that has none of its own."""
    split_at: str = ""
    """Mark within raw text: what stands before it is the prompt, what stands after it the answer, e.g. `"\\nA:"`."""
    system: Literal["keep", "fold"] = "keep"
    """`fold` writes the system message before the first user turn, for templates without a system role."""
    least: dict[str, float] = {}
    """Columns of ratings with the least value of rows that are used, e.g. `{rating = 4}`."""
    tags: list[str] = []
    """Columns whose values become tags `column=value` (slices)."""
    stratify: str = ""
    """Tag column by which the automatic split is stratified."""
    oversample_dev: dict[str, Annotated[int, Field(ge=1)]] = {}
    """Least groups of rows with a tag that dev gets when it is split off, e.g. `{"topic=refund" = 60}`: for rare slices of which chance gives it too few to show anything."""
    truncation: Literal["drop", "left", "right"] = "drop"
    """What happens to a row longer than `model.max_length`: dropped and listed, or cut."""
    near_duplicate: float = Field(0.8, gt=0, le=1)
    """Jaccard similarity of word 5-grams from which two rows count as near-duplicates."""
    benchmarks: str = ""
    """Folder with local copies of ARC, HellaSwag, MMLU or TruthfulQA; `residency check` lists training rows that come near them."""
    cluster: ClusterAddress = SecretUrl("")
    """Ray cluster over which `residency check` spreads its passes: `auto`, `host:port`, `ray://…`, or `local` for Ray's workers on this machine; empty: this machine's processors, without Ray."""

    @field_validator("split")
    @classmethod
    def _need_a_share(cls, split: dict[DealtSplit, float]) -> dict[DealtSplit, float]:
        """Shares of nothing divide nothing."""
        if not sum(split.values()) > 0:
            raise ValueError("a share above 0 is expected")
        return split
