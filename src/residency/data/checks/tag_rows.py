"""Which rows have which tag, so that a person sees which slices of dev are large enough."""

from __future__ import annotations

from array import array

import numpy as np

from residency.data.checks.figures import View

MOST_TAGS = 500
"""Different tags that are kept, in the order in which they are met."""


class TagRows:
    """Rows of each tag, by number."""

    def __init__(self) -> None:
        self._rows: dict[str, array[int]] = {}

    def add(self, view: View) -> None:
        """One more row."""
        for tag in view.example.tags:
            self._find_rows(tag).append(view.number)

    def merge(self, later: TagRows, offset: int) -> None:
        """Add the tags of the rows after these."""
        for tag, rows in later._rows.items():
            self._find_rows(tag).extend(row + offset for row in rows)

    def _find_rows(self, tag: str) -> array[int]:
        if tag not in self._rows and len(self._rows) >= MOST_TAGS:
            return array("q")
        return self._rows.setdefault(tag, array("q"))

    def count(self, chosen: np.ndarray, groups: np.ndarray) -> dict[str, int]:
        """Groups of each tag among the chosen rows, most frequent first.

        Args:
            chosen: whether a row counts, shape (rows,). groups: the group of each row, 0 where it
                is alone, shape (rows,).
        """
        counts: dict[str, int] = {}
        for tag, numbers in self._rows.items():
            rows = np.asarray(numbers, np.int64)
            of_rows = groups[rows[chosen[rows]]]
            alone = int((of_rows == 0).sum())
            counts[tag] = alone + len(np.unique(of_rows[of_rows != 0]))
        return {tag: n for tag, n in sorted(counts.items(), key=lambda kv: (-kv[1], kv[0])) if n}
