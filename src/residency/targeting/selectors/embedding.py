"""Selection by nearness: pool rows whose prompts mean what the failing prompts mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from residency.interfaces import Embedder
from residency.nouns.example import Example
from residency.nouns.issue import Issue
from residency.nouns.proposal import Proposal
from residency.overlap.distinct_text import distinct_prompts
from residency.targeting.selectors.selector import SelectionRequest, order_by_seed
from residency.text.words import split_words

SELECTOR = "embedding-2"
_SLICE_BONUS = 0.2
_TAG_BONUS = 0.3
_SAME = 0.97


def select_by_embedding(request: SelectionRequest) -> list[Proposal]:
    """For each issue in turn its nearest rows; a fair share of what is left of the budget."""
    proposals: list[Proposal] = []
    drawn: set[str] = set()
    for number, issue in enumerate(request.issues):
        # A fair share of what is left, so that the last issue is not left without rows.
        share = -(-(request.max_rows - len(proposals)) // (len(request.issues) - number))
        nearest = select_nearest(
            issue,
            request.failing[issue.id],
            request.pool,
            count=min(request.rows_per_issue, share),
            embedder=request.embedder,
            exclude=drawn,
            seed=request.seed,
        )
        drawn |= {p.example.id for p in nearest}
        proposals += nearest
    return proposals


def select_nearest(
    issue: Issue,
    failing: Sequence[Example],
    pool: Sequence[Example],
    *,
    count: int,
    embedder: Embedder,
    exclude: set[str],
    seed: int,
) -> list[Proposal]:
    """Pool rows nearest to the failing prompts, diverse, at most ``count``, best first.

    Each failing prompt in turn draws its nearest row that is still free, so that no single
    failure takes the whole budget. Nearness is the cosine of the embeddings of what differs
    between prompts, plus 0.2 for rows in the issue's slice, plus up to 0.3 for a tag shared with
    the failing prompt that is more frequent among the failures than in the pool. Rows that repeat an earlier choice (cosine ≥ 0.97, the
    same words or the same group) are passed over.

    Args:
        failing: failing examples of the *finding* half; the measuring half must never be shown
            here, or the measurement would be of rows that were picked for it.
        exclude: ids that may not be drawn (rows in use already).
        seed: order in which failing prompts draw.
    """
    free = [row for row in pool if row.id not in exclude]
    if not failing or not free or count < 1:
        return []
    table = _NearnessTable(issue, failing, free, embedder)
    proposals: list[Proposal] = []
    queue = sorted(range(len(failing)), key=lambda i: order_by_seed(seed, failing[i].id))
    while queue and len(proposals) < count:
        for asker in list(queue):
            if len(proposals) >= count:
                break
            row = table.draw_nearest(asker)
            if row is None:
                queue.remove(asker)
                continue
            proposals.append(
                Proposal(
                    issue=issue.id,
                    example=free[row],
                    origin="pool",
                    selector=SELECTOR,
                    score=round(float(table.scores[asker, row]), 6),
                    near=failing[asker].id,
                )
            )
    return proposals


class _NearnessTable:
    """Scores of every failing prompt and free row, and which rows are still to be drawn."""

    def __init__(
        self, issue: Issue, failing: Sequence[Example], free: Sequence[Example], embedder: Embedder
    ) -> None:
        self._free = free
        texts = distinct_prompts([*free, *failing])
        self._rows = np.asarray(embedder.embed(texts[: len(free)]))
        self.scores = np.asarray(embedder.embed(texts[len(free) :])) @ self._rows.T
        self.scores += _SLICE_BONUS * np.array([_in_slice(issue, row) for row in free])
        self.scores += _TAG_BONUS * _tag_bonus(failing, free)
        self._order = np.argsort(-self.scores, axis=1, kind="stable")
        self._prompts = [" ".join(split_words(text)) for text in texts[: len(free)]]
        self._passed = np.zeros(len(free), bool)
        self._next = [0] * len(failing)
        self._chosen: list[int] = []
        self._chosen_keys: set[str] = set()

    def draw_nearest(self, asker: int) -> int | None:
        """The nearest row of a failing prompt that is free and repeats no chosen one."""
        order = self._order[asker]
        while self._next[asker] < len(order):
            row = int(order[self._next[asker]])
            self._next[asker] += 1
            if self._passed[row]:
                continue
            self._passed[row] = True
            if not self._repeats_chosen(row):
                self._chosen.append(row)
                self._chosen_keys |= {self._prompts[row], self._group_key(row)}
                return row
        return None

    def _group_key(self, row: int) -> str:
        return f"group:{self._free[row].group or self._free[row].id}"

    def _repeats_chosen(self, row: int) -> bool:
        if {self._prompts[row], self._group_key(row)} & self._chosen_keys:
            return True
        chosen = self._rows[self._chosen]
        return bool(self._chosen) and float((chosen @ self._rows[row]).max()) >= _SAME


def _in_slice(issue: Issue, row: Example) -> bool:
    return issue.slice.by in ("tag", "field", "words") and issue.slice.contains(row)


def _tag_bonus(failing: Sequence[Example], rows: Sequence[Example]) -> np.ndarray:
    """For each failing prompt and row, the gain of their most telling shared tag, in [0, 1].

    A tag's gain is log₂ of how much more frequent it is among the failures than among the
    rows, from 0 (no more) to 1 (four times as frequent or more). What fails is rare in what was
    trained on, and words alone do not always show it.
    """
    tags = sorted({tag for example in failing for tag in example.tags})
    if not tags:
        return np.zeros((len(failing), len(rows)))
    column = {tag: i for i, tag in enumerate(tags)}

    def mark_tags(examples: Sequence[Example]) -> np.ndarray:
        out = np.zeros((len(examples), len(tags)))
        for i, example in enumerate(examples):
            out[i, [column[tag] for tag in example.tags if tag in column]] = 1
        return out

    a, b = mark_tags(failing), mark_tags(rows)
    expected = len(failing) * b.mean(axis=0)
    gain = np.clip(np.log2((a.sum(axis=0) + 0.5) / (expected + 0.5)) / 2, 0, 1)
    return np.asarray((a[:, None, :] * b[None, :, :] * gain).max(axis=2))
