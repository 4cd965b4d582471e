"""Which rows stay, and why the others go: duplicates, straddling groups, contamination, limits.

Decided on columns alone (``table``), so that the same rules serve a thousand rows in memory and
millions on disk. Rows are compared in the order test, dev, train, pool, so that of two rows
alike it is the training row that goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from residency.config.data import DataConfig
from residency.data.row_table import RANK, Table
from residency.data.splits import assign, limit_groups, normalise
from residency.errors import ConfigError
from residency.interfaces import Progress, ProgressEvent, no_progress
from residency.nouns.example import SPLITS, Split
from residency.overlap.near_duplicates import Near, find_near
from residency.overlap.protected_grams import ProtectedGrams
from residency.overlap.word_grams import I64

_RANKS = np.asarray([RANK[s] for s in SPLITS])


@dataclass(frozen=True)
class Drop:
    """Row ``row`` goes. ``other`` is the row that it resembles, -1 where there is none.

    ``kind`` is ``exact duplicate``, ``near-duplicate``, ``contamination``, ``group`` or ``limit``.
    """

    row: int
    kind: str
    rule: str
    other: int = -1


@dataclass(frozen=True)
class Decision:
    """What becomes of every row of a table.

    Attributes:
        splits: the split of each row (index into SPLITS), after splitting off.
        alive: whether it stays. drops: the rows that do not, with why.
        near: rows whose prompt is near an earlier one's.
        contradictions: pairs of rows with the same prompt and different answers.
    """

    splits: np.ndarray
    alive: np.ndarray
    drops: list[Drop] = field(default_factory=list)
    near: dict[int, Near] = field(default_factory=dict)
    contradictions: list[tuple[int, int]] = field(default_factory=list)


def decide(
    table: Table,
    config: DataConfig,
    *,
    missing: Sequence[Split] = (),
    full: bool = False,
    progress: Progress = no_progress,
) -> Decision:
    """Which rows stay, in which split.

    Args:
        missing: splits to be split off from the train rows.
        full: ignore ``config.limit``.

    Raises:
        ConfigError: the shares, the limits or the stratifying tag cannot be used.
    """
    splits = _split_off(table, config, missing) if missing else table.splits
    made = Decision(splits, np.ones(len(table), bool))
    order = np.lexsort((np.arange(len(table)), splits, _RANKS[splits]))
    _drop_exact(table, made, order)
    progress(ProgressEvent("near-duplicates", 0, 1, "passes"))
    _drop_near(table, made, order[made.alive[order]], config.near_duplicate)
    progress(ProgressEvent("near-duplicates", 1, 1, "passes"))
    _find_contradictions(table, made, order)
    _drop_straddling(table, made)
    progress(ProgressEvent("contamination", 0, 1, "passes"))
    _drop_overlapping(table, made)
    if not full:
        _drop_beyond_limit(table, made, config.limit)
    progress(ProgressEvent("contamination", 1, 1, "passes"))
    return made


def _drop(made: Decision, row: int, kind: str, rule: str, other: int = -1) -> None:
    made.alive[row] = False
    made.drops.append(Drop(int(row), kind, rule, int(other)))


def _split_off(table: Table, config: DataConfig, missing: Sequence[Split]) -> np.ndarray:
    shares = normalise(config.split, ["train", *missing])
    rows = np.flatnonzero(table.splits == SPLITS.index("train"))
    strata = None
    if config.stratify:
        strata = table.strata[rows].tolist()
        if not any(s >= 0 for s in strata):
            raise ConfigError(
                f"no row has a tag {config.stratify}=…",
                where="residency.toml [data] stratify",
                next_step=f'name the column in [data] tags = ["{config.stratify}"]',
            )
    chosen = assign(table.keys[rows].tolist(), shares, strata)
    splits = table.splits.copy()
    splits[rows] = [SPLITS.index(s) for s in chosen]
    return splits


def _drop_exact(table: Table, made: Decision, order: I64) -> None:
    _, first, inverse = np.unique(table.ids[order], return_index=True, return_inverse=True)
    for place in np.flatnonzero(first[inverse] != np.arange(len(order))):
        row, other = order[place], order[first[inverse[place]]]
        leak = _RANKS[made.splits[row]] > _RANKS[made.splits[other]]
        _drop(made, row, "contamination" if leak else "exact duplicate", "the same row", other)


def _drop_near(table: Table, made: Decision, order: I64, threshold: float) -> None:
    near = find_near(table.prompts.take(order), table.answers.take(order), threshold)
    for place, found in near.items():
        row, other = int(order[place]), int(order[found.row])
        made.near[row] = Near(other, found.score, found.duplicate)
        rank, other_rank = _RANKS[made.splits[row]], _RANKS[made.splits[other]]
        rule = f"near-duplicate, Jaccard {found.score:.2f}"
        if rank > other_rank:
            _drop(made, row, "contamination", rule, other)
        elif found.duplicate and rank == 2:
            _drop(made, row, "near-duplicate", rule, other)


def _find_contradictions(table: Table, made: Decision, order: I64) -> None:
    """Living rows that answer the same question otherwise than an earlier one does."""
    answered = table.answers.stops > table.answers.starts
    rows = order[made.alive[order] & answered[order]]
    _, first, inverse = np.unique(table.asked[rows], return_index=True, return_inverse=True)
    for place in np.flatnonzero(first[inverse] != np.arange(len(rows))):
        row, other = int(rows[place]), int(rows[first[inverse[place]]])
        if row not in made.near or not made.near[row].duplicate:
            made.contradictions.append((other, row))


def _drop_straddling(table: Table, made: Decision) -> None:
    """Rows whose group also stands in a more protected split."""
    rows = np.flatnonzero(made.alive & (table.groups != 0))
    if not len(rows):
        return
    ranks = _RANKS[made.splits[rows]]
    order = np.lexsort((rows, ranks))
    _, first, inverse = np.unique(table.groups[rows][order], return_index=True, return_inverse=True)
    best = order[first[inverse]]
    for place in np.flatnonzero(ranks[order] > ranks[best]):
        _drop(made, rows[order[place]], "group", "its group is also there", rows[best[place]])


def _drop_overlapping(table: Table, made: Decision) -> None:
    """Train and pool rows that share long runs of words with dev or test."""
    living = np.flatnonzero(made.alive)
    ranks = _RANKS[made.splits]
    items = living[ranks[living] < 2]
    rows = living[ranks[living] == 2]
    if not len(items) or not len(rows):
        return
    protected = ProtectedGrams(table.prompts.take(items))
    protected.count(table.prompts.take(living))
    for hit in protected.find(table.prompts.take(rows)):
        rule = f"{hit.rule} overlap, {hit.share:.0%} of the item's"
        _drop(made, rows[hit.row], "contamination", rule, items[hit.item])


def _drop_beyond_limit(table: Table, made: Decision, limits: dict[str, int]) -> None:
    if set(limits) - set(SPLITS) or any(value < 1 for value in limits.values()):
        raise ConfigError(
            f"a limit of 1 or more for {', '.join(SPLITS)} is expected; found {limits}",
            where="residency.toml [data] limit",
        )
    for split, most in limits.items():
        rows = np.flatnonzero(made.alive & (made.splits == SPLITS.index(split)))
        keep = limit_groups(table.keys[rows].tolist(), most)
        for row in rows[~np.asarray(keep, bool)]:
            _drop(made, row, "limit", f"data.limit.{split} = {most}")
