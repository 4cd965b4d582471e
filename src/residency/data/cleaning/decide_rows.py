"""Which rows stay, and why the others go: duplicates, straddling groups, contamination, limits.

Decided on columns alone (``table``), so that the same rules serve a thousand rows in memory and
millions on disk. Rows are compared in the order test, dev, train, pool, so that of two rows
alike it is the training row that goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from residency.config.data import DataConfig
from residency.data.row_table import RANK, Table
from residency.data.splits import assign_splits, limit_groups, normalise_shares, oversample_dev
from residency.errors import ConfigError
from residency.interfaces import Progress, ProgressEvent, no_progress
from residency.nouns.example import SPLITS, DealtSplit, Split
from residency.overlap.near_duplicates import Near, find_near
from residency.overlap.protected_rows import ProtectedRows
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


def decide_rows(
    table: Table,
    config: DataConfig,
    *,
    missing: Sequence[DealtSplit] = (),
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
    if config.oversample_dev and "dev" not in missing:
        raise ConfigError(
            "dev is named as files of its own, so no rows are moved to it",
            where="residency.toml [data] oversample_dev",
            next_step="add rows of these tags to the dev files, or leave data.dev empty",
        )
    splits = _split_off(table, config, missing) if missing else table.splits
    decision = Decision(splits, np.ones(len(table), bool))
    order = np.lexsort((np.arange(len(table)), splits, _RANKS[splits]))
    _drop_exact(table, decision, order)
    progress(ProgressEvent("near-duplicates", 0, 1, "passes"))
    _drop_near(table, decision, order[decision.alive[order]], config.near_duplicate)
    progress(ProgressEvent("near-duplicates", 1, 1, "passes"))
    _find_contradictions(table, decision, order)
    _drop_straddling(table, decision)
    progress(ProgressEvent("contamination", 0, 1, "passes"))
    _drop_overlapping(table, decision, config.near_duplicate)
    if not full:
        _drop_beyond_limit(table, decision, config.limit)
    progress(ProgressEvent("contamination", 1, 1, "passes"))
    return decision


def _drop_row(decision: Decision, row: int, kind: str, rule: str, other: int = -1) -> None:
    decision.alive[row] = False
    decision.drops.append(Drop(int(row), kind, rule, int(other)))


def _split_off(table: Table, config: DataConfig, missing: Sequence[DealtSplit]) -> np.ndarray:
    shares = normalise_shares(config.split, ["train", *missing])
    rows = np.flatnonzero((table.splits == SPLITS.index("train")) & ~table.fixed)
    strata = None
    if config.stratify:
        strata = table.strata[rows].tolist()
        if not any(s >= 0 for s in strata):
            raise ConfigError(
                f"no row has a tag {config.stratify}=…",
                where="residency.toml [data] stratify",
                next_step=f'name the column in [data] tags = ["{config.stratify}"]',
            )
    chosen = assign_splits(table.keys[rows].tolist(), shares, strata)
    splits = table.splits.copy()
    splits[rows] = [SPLITS.index(s) for s in _oversample(table, rows, chosen, config)]
    return splits


def _oversample(
    table: Table, rows: I64, chosen: Sequence[DealtSplit], config: DataConfig
) -> Sequence[DealtSplit]:
    """The splits of these rows with more rows of some tags in dev."""
    keys = table.keys[rows].tolist()
    for number, (tag, least) in enumerate(config.oversample_dev.items()):
        tagged = (table.tagged[rows] >> number & 1).astype(bool)
        if not tagged.any():
            raise ConfigError(
                f"no row has the tag {tag}",
                where="residency.toml [data] oversample_dev",
                next_step="write a tag as residency check shows it; a column's values are tags "
                "(column=value) when [data] tags names it",
            )
        moved = oversample_dev(keys, chosen, tagged.tolist(), least)
        chosen = ["dev" if key in moved else split for key, split in zip(keys, chosen, strict=True)]
    return chosen


def _drop_exact(table: Table, decision: Decision, order: I64) -> None:
    _, first, inverse = np.unique(table.ids[order], return_index=True, return_inverse=True)
    for position in np.flatnonzero(first[inverse] != np.arange(len(order))):
        row, other = order[position], order[first[inverse[position]]]
        leak = _RANKS[decision.splits[row]] > _RANKS[decision.splits[other]]
        _drop_row(
            decision, row, "contamination" if leak else "exact duplicate", "the same row", other
        )


def _drop_near(table: Table, decision: Decision, order: I64, threshold: float) -> None:
    near = find_near(table.prompts.take(order), table.answers.take(order), threshold)
    for position, match in near.items():
        row, other = int(order[position]), int(order[match.row])
        decision.near[row] = Near(other, match.score, match.duplicate)
        rank, other_rank = _RANKS[decision.splits[row]], _RANKS[decision.splits[other]]
        rule = f"near-duplicate, Jaccard {match.score:.2f}"
        if rank > other_rank:
            # Of rows that are trained the one rule decides (``_drop_overlapping``).
            if rank < 2:
                _drop_row(decision, row, "contamination", rule, other)
        elif match.duplicate and rank == 2:
            _drop_row(decision, row, "near-duplicate", rule, other)


def _find_contradictions(table: Table, decision: Decision, order: I64) -> None:
    """Living rows that answer the same question otherwise than an earlier one does."""
    answered = table.answers.stops > table.answers.starts
    rows = order[decision.alive[order] & answered[order]]
    _, first, inverse = np.unique(table.questions[rows], return_index=True, return_inverse=True)
    for position in np.flatnonzero(first[inverse] != np.arange(len(rows))):
        row, other = int(rows[position]), int(rows[first[inverse[position]]])
        if row not in decision.near or not decision.near[row].duplicate:
            decision.contradictions.append((other, row))


def _drop_straddling(table: Table, decision: Decision) -> None:
    """Rows whose group also stands in a more protected split."""
    rows = np.flatnonzero(decision.alive & (table.groups != 0))
    if not len(rows):
        return
    ranks = _RANKS[decision.splits[rows]]
    order = np.lexsort((rows, ranks))
    _, first, inverse = np.unique(table.groups[rows][order], return_index=True, return_inverse=True)
    best = order[first[inverse]]
    for position in np.flatnonzero(ranks[order] > ranks[best]):
        _drop_row(
            decision,
            rows[order[position]],
            "group",
            "its group is also there",
            rows[best[position]],
        )


def _drop_overlapping(table: Table, decision: Decision, near_duplicate: float) -> None:
    """Train and pool rows that come near dev or test."""
    living = np.flatnonzero(decision.alive)
    ranks = _RANKS[decision.splits]
    items = living[ranks[living] < 2]
    rows = living[ranks[living] == 2]
    if not len(items) or not len(rows):
        return
    protected = ProtectedRows(table.compared.take(items), near_duplicate=near_duplicate)
    # Copies of an item must not make its words look usual.
    copies = [row for row, near in decision.near.items() if ranks[row] == 2 and ranks[near.row] < 2]
    protected.count_rows(table.compared.take(np.setdiff1d(living, copies)))
    for hit in protected.find_overlaps(table.compared.take(rows)):
        rule = hit.describe()
        _drop_row(decision, rows[hit.row], "contamination", rule, items[hit.item])


def _drop_beyond_limit(table: Table, decision: Decision, limits: Mapping[Split, int]) -> None:
    if set(limits) - set(SPLITS) or any(value < 1 for value in limits.values()):
        raise ConfigError(
            f"a limit of 1 or more for {', '.join(SPLITS)} is expected; found {limits}",
            where="residency.toml [data] limit",
        )
    for split, most in limits.items():
        in_split = decision.alive & (decision.splits == SPLITS.index(split)) & ~table.fixed
        rows = np.flatnonzero(in_split)
        if split == "dev":  # what was asked for by tag comes first
            rows = rows[np.argsort(table.tagged[rows] == 0, kind="stable")]
        keep = limit_groups(table.keys[rows].tolist(), most)
        for row in rows[~np.asarray(keep, bool)]:
            _drop_row(decision, row, "limit", f"data.limit.{split} = {most}")
