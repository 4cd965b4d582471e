"""What production asks that dev does not: drift, with intervals, and the kinds of question that are new.

A question is *new* when its nearest dev prompt is farther than for 95 of 100 dev prompts (each against
dev without its group). Were production like dev, one question in twenty would be new. The interval
of that share resamples questions and dev groups alike (bootstrap).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from residency.diagnose.cluster_slices import cluster_vectors, name_clusters
from residency.interfaces import Embedder
from residency.nouns.example import Example
from residency.text.words import split_words

FEWEST = 20
"""Prompts of each side below which nothing is said."""
USUAL = 0.05
"""Share of new questions where nothing has changed."""
_RESAMPLES = 2000
_BLOCK = 1024
_SHARED = 0.1
"""Share of a side's prompts from which a line is taken for an instruction and not for a question."""
_ITEMS_A_CLUSTER = 20
_MOST_CLUSTERS = 12


@dataclass(frozen=True)
class ClusterShift:
    """A kind of question: its share in dev and in production, and the difference with its interval
    (bootstrap, at 95 % for all clusters together). ``is_new`` when the interval lies above 0."""

    name: str
    dev_share: float
    traffic_share: float
    low: float
    high: float
    examples: tuple[str, ...]

    @property
    def is_new(self) -> bool:
        """Whether production asks it more often than dev."""
        return self.low > 0


@dataclass(frozen=True)
class Drift:
    """Production against dev.

    Attributes:
        share: of questions that are new; low, high: its 95 % interval; None below ``FEWEST`` prompts.
        dev, traffic: distinct prompts compared. clusters: the largest growth first.
        novelty: example id → distance to the nearest dev prompt (1 − cosine).
    """

    share: float | None
    low: float
    high: float
    dev: int
    traffic: int
    clusters: tuple[ClusterShift, ...] = ()
    novelty: dict[str, float] = field(default_factory=dict)

    @property
    def has_moved(self) -> bool:
        """Whether more is new than chance explains."""
        return self.share is not None and self.low > USUAL


def measure_drift(
    dev: Sequence[Example], traffic: Sequence[Example], embedder: Embedder, *, seed: int = 0
) -> Drift:
    """Distinct prompts of production against those of dev.

    Args:
        dev: its rows of one group count as one. traffic: each distinct prompt counts once.
    """
    questions = list({example.prompt_text: example for example in traffic}.values())
    if not dev or not questions:
        return Drift(None, 0.0, 1.0, len(dev), len(questions))
    words = list_question_words(dev, questions)
    vectors = np.asarray(embedder.embed([" ".join(text) for text in words]), np.float32)
    known, fresh = vectors[: len(dev)], vectors[len(dev) :]
    far = 1 - _find_nearest(fresh, known, np.arange(len(fresh)), -1 - np.arange(len(known)))
    novelty = {example.id: round(float(d), 4) for example, d in zip(questions, far, strict=True)}
    if min(len(dev), len(questions)) < FEWEST:
        return Drift(None, 0.0, 1.0, len(dev), len(questions), novelty=novelty)
    groups = [example.group or example.id for example in dev]
    rng = np.random.default_rng(seed)
    share, low, high = _compare_distances(_leave_group_out(known, groups), far, groups, rng)
    clusters = _compare_clusters(vectors, words, questions, groups, rng, seed)
    return Drift(share, low, high, len(dev), len(questions), tuple(clusters), novelty)


def list_question_words(*sides: Sequence[Example]) -> list[list[str]]:
    """Words of each prompt of both sides, without system messages and without lines that many prompts
    of a side share: an instruction may stand anywhere, and in production elsewhere than in dev."""
    lines = [[_list_lines(example) for example in side] for side in sides]
    shared: set[str] = set()
    for side in lines:
        counts = Counter(line for prompt in side for line in set(prompt))
        fewest = max(3.0, _SHARED * len(side))
        shared |= {line for line, count in counts.items() if count >= fewest}
    return [
        split_words(" ".join([line for line in prompt if line not in shared] or prompt))
        for side in lines
        for prompt in side
    ]


def _list_lines(example: Example) -> list[str]:
    turns = [turn for turn in example.prompt if turn.role != "system"] or list(example.prompt)
    return [
        line.strip()
        for turn in turns
        for part in (turn.content, turn.input)
        for line in part.splitlines()
        if line.strip()
    ]


def _leave_group_out(vectors: Any, groups: Sequence[Hashable]) -> Any:
    """Each dev prompt's distance to the nearest of another group; NaN where there is no other."""
    owners = np.unique(np.asarray([str(group) for group in groups]), return_inverse=True)[1]
    nearest = _find_nearest(vectors, vectors, owners, owners)
    return np.where(np.isfinite(nearest), 1 - nearest, np.nan)


def _find_nearest(vectors: Any, known: Any, owners: Any, known_owners: Any) -> Any:
    """Cosine with the most similar known vector of another owner, block by block; −inf without one."""
    out = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), _BLOCK):
        block = slice(start, start + _BLOCK)
        similar = vectors[block] @ known.T
        similar[owners[block, None] == known_owners[None, :]] = -np.inf
        out[block] = similar.max(axis=1)
    return out


def _compare_distances(
    usual: Any, far: Any, groups: Sequence[Hashable], rng: np.random.Generator
) -> tuple[float, float, float]:
    """Share of distances beyond the 95th percentile within dev, with its interval."""
    if np.isnan(usual).all():
        return float("nan"), 0.0, 1.0
    share = float((far > np.nanquantile(usual, 1 - USUAL)).mean())
    members = _gather_members(groups)
    shares = []
    for _ in range(_RESAMPLES // 2):
        drawn = rng.integers(0, len(members), len(members))
        sample = usual[np.concatenate([members[n] for n in drawn])]
        if np.isnan(sample).all():
            continue
        limit = np.nanquantile(sample, 1 - USUAL)
        shares.append(float((rng.choice(far, len(far)) > limit).mean()))
    low, high = np.quantile(shares, (0.025, 0.975))
    return share, float(low), float(high)


def _gather_members(groups: Sequence[Hashable]) -> list[Any]:
    members: dict[Hashable, list[int]] = defaultdict(list)
    for position, group in enumerate(groups):
        members[group].append(position)
    return [np.asarray(places) for places in members.values()]


def _compare_clusters(
    vectors: Any,
    words: Sequence[Sequence[str]],
    questions: Sequence[Example],
    groups: Sequence[Hashable],
    rng: np.random.Generator,
    seed: int,
) -> list[ClusterShift]:
    """Clusters of both sides together, the largest growth first."""
    count = min(_MOST_CLUSTERS, len(vectors) // _ITEMS_A_CLUSTER)
    if count < 2:
        return []
    labels = cluster_vectors(vectors, count, seed=seed)
    names = name_clusters(words, labels.tolist())
    dev, traffic = labels[: len(groups)], labels[len(groups) :]
    before, after = (np.bincount(side, minlength=count) / len(side) for side in (dev, traffic))
    draws = _resample_shares(dev, traffic, groups, count, rng)
    tail = 0.025 / count  # all intervals together hold at 95 %
    low, high = np.quantile(draws, (tail, 1 - tail), axis=0)
    shifts = [
        ClusterShift(
            names[label],
            float(before[label]),
            float(after[label]),
            float(low[label]),
            float(high[label]),
            tuple(
                e.id
                for e, label_of_question in zip(questions, traffic.tolist(), strict=True)
                if label_of_question == label
            ),
        )
        for label in names
    ]
    return sorted(shifts, key=lambda shift: (shift.dev_share - shift.traffic_share, shift.name))


def _resample_shares(
    dev: Any, traffic: Any, groups: Sequence[Hashable], count: int, rng: np.random.Generator
) -> Any:
    """Differences of shares, shape (resamples, clusters)."""
    table = np.asarray([np.bincount(dev[m], minlength=count) for m in _gather_members(groups)])
    weights = rng.multinomial(len(table), np.full(len(table), 1 / len(table)), _RESAMPLES)
    before = weights @ table
    before = before / before.sum(axis=1, keepdims=True)
    share = np.bincount(traffic, minlength=count) / len(traffic)
    after = rng.multinomial(len(traffic), share, _RESAMPLES) / len(traffic)
    return after - before
