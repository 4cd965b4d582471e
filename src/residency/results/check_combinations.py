"""What the checks said of an item before and after: few combinations among thousands of items."""

from __future__ import annotations

from residency.store.item_pages import WrittenNumbers

Numbers = frozenset[int]
Combination = tuple[Numbers, Numbers, Numbers, Numbers]
"""Check numbers: failed and passed before, failed and passed after."""


def parse_combination(written: WrittenNumbers) -> Combination:
    """``,3,17,`` → {3, 17}, four times."""
    sets = [frozenset(int(n) for n in text.split(",") if n) for text in written]
    return sets[0], sets[1], sets[2], sets[3]
