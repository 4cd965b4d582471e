"""A fixed sample of rows, for figures that cost more than a glance, and how diverse it is.

The sample is the ``SAMPLE`` rows with the smallest content hashes: the same rows whatever their
order, and all of them when there are fewer.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from dataclasses import replace

from residency.data.checks.figures import Figure, View
from residency.text.words import list_ngrams

SAMPLE = 5000


class Sample:
    """Keeps the rows with the smallest content hashes.

    Args:
        bar: rows of a lower rank are dropped: they are not in the sample that this one
            will be merged into.
    """

    def __init__(self, size: int = SAMPLE, bar: int | None = None) -> None:
        self._size, self._heap, self._bar = size, list[tuple[int, int, View]](), bar
        self.seen = 0

    @property
    def bar(self) -> int | None:
        """The rank that a row must be above; None while there is room."""
        return self._bar if len(self._heap) < self._size else self._heap[0][0]

    def add(self, view: View) -> None:
        """One more row."""
        self.seen += 1
        self._offer(-int(view.example.id[-16:], 16), view)

    def _offer(self, rank: int, view: View) -> None:
        if self._bar is not None and rank <= self._bar:
            return
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, (rank, view.number, view))
        elif rank > self._heap[0][0]:
            heapq.heapreplace(self._heap, (rank, view.number, view))

    def merge(self, later: Sample, offset: int) -> None:
        """Add the sample of the rows after these."""
        self.seen += later.seen
        for rank, number, view in sorted(later._heap, key=lambda item: item[1]):
            self._offer(rank, replace(view, number=number + offset))

    @property
    def views(self) -> list[View]:
        """The sampled rows, in the order in which they were added."""
        return [v for _, _, v in sorted(self._heap, key=lambda item: item[1])]

    @property
    def partial(self) -> bool:
        """Whether rows were left out."""
        return self.seen > len(self._heap)


def measure_diversity(views: list[View], *, partial: bool) -> Figure:
    """Distinct words and n-grams of the answers: distinct-n = distinct / total (Li et al. 2016)."""
    counts: dict[int, tuple[int, int]] = {}
    for n in (1, 2, 3):
        runs = Counter(itertools.chain.from_iterable(list_ngrams(v.words, n) for v in views))
        counts[n] = len(runs), sum(runs.values())
    details = [(f"distinct-{n}", d / t if t else 0.0) for n, (d, t) in counts.items()]
    return Figure(
        "diversity",
        "vocabulary of the answers",
        len(views),
        len(views),
        value=float(counts[1][0]),
        unit="words",
        sampled=partial,
        details=tuple(details),
    )
