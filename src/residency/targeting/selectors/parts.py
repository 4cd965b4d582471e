"""The parts of the task that ask for rows: slices that issues name, or that tell an issue's failures.

An issue over the whole task does not say which rows would mend it: rows like any failure are what
random rows are. Where a tag, class, field value or cluster is more frequent among its failures than
in the pool, that part asks instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from residency.nouns.example import Example
from residency.nouns.issue import Issue, Slice
from residency.targeting.selectors.selector import SelectionRequest, order_by_seed

LEAST_LIFT = 1.5
"""A part tells of an issue when it is so many times as frequent among the failures as in the pool."""
LEAST_FAILURES = 3
LEAST_ROWS = 5
"""Pool rows that a part needs which no issue names."""
MOST_PARTS = 12
"""Most parts that share a budget: a handful of rows each teaches nothing."""


@dataclass(frozen=True)
class Part:
    """A slice of the pool, the issue whose rows they become, and what is known of it.

    Attributes:
        issue: the first that names it, or the one with most failures in it.
        failures: ids of failing examples in it, of all open issues.
        rows: pool rows in it, in the order in which they are drawn. trained: rows trained already.
    """

    issue: Issue
    slice: Slice
    failures: frozenset[str]
    rows: tuple[Example, ...]
    trained: int

    @property
    def name(self) -> str:
        """What a proposal says of it: nothing where it is the whole slice of its issue."""
        is_whole = self.slice == self.issue.slice
        return "" if is_whole else f"{self.slice.by}: {self.slice.value}"


def find_parts(request: SelectionRequest) -> list[Part]:
    """Slices that issues name, the neediest first; then those that tell failures of whole-task issues.

    Of the latter those come first that hold most failures beyond their share; ``MOST_PARTS`` in all.
    """
    named = [issue for issue in request.issues if issue.slice.by != "all"]
    parts = {(i.slice.by, i.slice.value): _measure_part(request, i, i.slice) for i in named}
    whole = [issue for issue in request.issues if issue.slice.by == "all"]
    telling = [entry for issue in whole for entry in find_telling_slices(request, issue)]
    for _, issue, where in sorted(telling, key=lambda entry: -entry[0]):
        parts.setdefault((where.by, where.value), _measure_part(request, issue, where))
    return [part for part in parts.values() if part.rows][: max(MOST_PARTS, len(named))]


def find_telling_slices(
    request: SelectionRequest, issue: Issue
) -> list[tuple[float, Issue, Slice]]:
    """Tags, classes, field values and clusters that are frequent among an issue's failures and not
    in the pool, each with how many failures it holds beyond its share of the pool."""
    failing = request.failing[issue.id]
    tags = sorted({tag for example in failing for tag in example.tags})
    slices = [Slice("tag", tag) for tag in tags]
    slices += [where for where in request.slices if where.by in ("field", "cluster")]
    out = []
    for where in slices:
        among = sum(map(where.contains, failing))
        rows = sum(map(where.contains, request.pool))
        expected = len(failing) * rows / max(1, len(request.pool))
        lift = (among + 0.5) / (expected + 0.5)
        if among >= LEAST_FAILURES and lift >= LEAST_LIFT and rows >= LEAST_ROWS:
            out.append((among - expected, issue, where))
    return out


def _measure_part(request: SelectionRequest, issue: Issue, where: Slice) -> Part:
    rows = [row for row in request.pool if where.contains(row)]
    rows.sort(key=lambda row: order_by_seed(request.seed, row.id))
    failures = {
        example.id
        for other in request.issues
        for example in request.failing[other.id]
        if where.contains(example) or other.slice == where
    }
    trained = sum(map(where.contains, request.trained))
    return Part(issue, where, frozenset(failures), tuple(rows), trained)
