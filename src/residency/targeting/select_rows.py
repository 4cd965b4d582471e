"""Which pool rows to train on for an issue, and the random control beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from residency.interfaces import Embedder
from residency.nouns.example import Example
from residency.nouns.issue import Issue
from residency.nouns.proposal import Proposal
from residency.overlap.boilerplate import boilerplate, focused
from residency.text.words import words

SELECTOR = "embedding-2"
_SLICE_BONUS = 0.2
_TAG_BONUS = 0.3
_SAME = 0.97


def propose(
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
    common = boilerplate([*free, *failing])
    rows = np.asarray(embedder.embed(focused(free, common)))
    asked = np.asarray(embedder.embed(focused(failing, common)))
    scores = asked @ rows.T
    scores += _SLICE_BONUS * np.array([_in_slice(issue, row) for row in free])
    scores += _TAG_BONUS * _tag_bonus(failing, free)
    order = np.argsort(-scores, axis=1, kind="stable")
    keys = [" ".join(words(text)) for text in focused(free, common)]
    taken = np.zeros(len(free), bool)
    used: set[str] = set()
    chosen: list[int] = []
    proposals: list[Proposal] = []
    queue = sorted(range(len(failing)), key=lambda i: _shuffle(seed, failing[i].id))
    next_choice = [0] * len(failing)
    while queue and len(proposals) < count:
        for asker in list(queue):
            if len(proposals) >= count:
                break
            place = _draw(order[asker], next_choice, asker, taken)
            while place is not None and _repeats(place, chosen, rows, keys, free, used):
                taken[place] = True
                place = _draw(order[asker], next_choice, asker, taken)
            if place is None:
                queue.remove(asker)
                continue
            taken[place] = True
            chosen.append(place)
            used |= {keys[place], f"group:{free[place].group or free[place].id}"}
            proposals.append(
                Proposal(
                    issue=issue.id,
                    example=free[place],
                    origin="pool",
                    selector=SELECTOR,
                    score=round(float(scores[asker, place]), 6),
                    near=failing[asker].id,
                )
            )
    return proposals


def control(
    proposals: Sequence[Proposal], pool: Sequence[Example], *, exclude: set[str], seed: int
) -> list[Proposal]:
    """As many random pool rows as ``proposals``: the arm that shows what more rows alone do.

    Drawn from the whole pool without ``exclude`` (a row may also be a targeted one: it is
    random all the same). Fewer come back only if the pool is smaller. The draw follows from
    row ids and seed, not from their order.
    """
    free = sorted(
        (row for row in pool if row.id not in exclude), key=lambda row: _shuffle(seed, row.id)
    )
    return [
        Proposal(
            issue=proposal.issue,
            example=row,
            origin="pool",
            selector="random",
            score=0.0,
            arm="control",
        )
        for proposal, row in zip(proposals, free, strict=False)
    ]


def _shuffle(seed: int, key: str) -> str:
    return hashlib.sha256(f"{seed}\x1f{key}".encode()).hexdigest()


def _in_slice(issue: Issue, row: Example) -> bool:
    return issue.slice.by == "tag" and issue.slice.contains(row)


def _tag_bonus(failing: Sequence[Example], rows: Sequence[Example]) -> np.ndarray:
    """For each failing prompt and row, the gain of their most telling shared tag, in [0, 1].

    A tag's gain is log₂ of how much more frequent it is among the failures than among the
    rows, from 0 (no more) to 1 (four times as frequent or more). What fails is rare in what was
    trained on, and words alone do not always show it.
    """
    tags = sorted({tag for example in failing for tag in example.tags})
    if not tags:
        return np.zeros((len(failing), len(rows)))
    place = {tag: i for i, tag in enumerate(tags)}

    def table(examples: Sequence[Example]) -> np.ndarray:
        out = np.zeros((len(examples), len(tags)))
        for i, example in enumerate(examples):
            out[i, [place[tag] for tag in example.tags if tag in place]] = 1
        return out

    a, b = table(failing), table(rows)
    expected = len(failing) * b.mean(axis=0)
    gain = np.clip(np.log2((a.sum(axis=0) + 0.5) / (expected + 0.5)) / 2, 0, 1)
    return np.asarray((a[:, None, :] * b[None, :, :] * gain).max(axis=2))


def _draw(order: np.ndarray, next_choice: list[int], asker: int, taken: np.ndarray) -> int | None:
    while next_choice[asker] < len(order):
        place = int(order[next_choice[asker]])
        next_choice[asker] += 1
        if not taken[place]:
            return place
    return None


def _repeats(
    place: int,
    chosen: Sequence[int],
    rows: np.ndarray,
    keys: Sequence[str],
    free: Sequence[Example],
    used: set[str],
) -> bool:
    if keys[place] in used or f"group:{free[place].group or free[place].id}" in used:
        return True
    return bool(chosen) and float((rows[list(chosen)] @ rows[place]).max()) >= _SAME
