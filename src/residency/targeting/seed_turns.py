"""In which order pool rows are the seeds of new rows: failing items take turns, each with rows of its mode.

So every mode gets rows in proportion to the failing items that show it, whatever shares the selector
gave out, and a smaller number of rows keeps the proportion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from residency.nouns.example import Example
from residency.nouns.issue import Slice
from residency.nouns.proposal import Proposal


def order_seeds(
    seeds: Sequence[Proposal], failing: Sequence[Example], slices: Sequence[Slice], count: int
) -> list[Proposal]:
    """``count`` seeds, each with the failing item (``near``) whose mode it is of; some come again.

    The mode of a failing item: the rows that it drew itself; otherwise those of the parts of the task
    that it lies in; otherwise those of no part; where none of these was drawn, all of them.

    Args:
        failing: failing items of the *finding* part of dev. slices: what the seeds' parts may be.
    """
    if not seeds or not failing or count < 1:
        return list(seeds)[: max(0, count)]
    parts = {f"{where.by}: {where.value}": where for where in slices}
    modes = [_find_mode(item, seeds, parts) for item in failing]
    turns = _interleave(modes)
    taken: Counter[int] = Counter()
    taken_parts: Counter[str] = Counter()
    ordered = []
    for turn in range(count):
        item = turns[turn % len(turns)]
        number = min(modes[item], key=lambda n: (taken_parts[seeds[n].part], taken[n], n))
        taken[number] += 1
        taken_parts[seeds[number].part] += 1
        ordered.append(replace(seeds[number], near=failing[item].id))
    return ordered


def _find_mode(
    item: Example, seeds: Sequence[Proposal], parts: dict[str, Slice]
) -> tuple[int, ...]:
    """Numbers of the seeds of an item's mode."""
    numbers = range(len(seeds))
    drawn = tuple(n for n in numbers if seeds[n].near == item.id)
    in_parts = tuple(n for n in numbers if _lies_in(item, seeds[n].part, parts))
    of_none = tuple(n for n in numbers if not seeds[n].part and not seeds[n].near)
    return drawn or in_parts or of_none or tuple(numbers)


def _lies_in(item: Example, part: str, parts: dict[str, Slice]) -> bool:
    by, _, value = part.partition(": ")
    if by == "tag":
        return value in item.tags
    return part in parts and parts[part].contains(item)


def _interleave(modes: Sequence[tuple[int, ...]]) -> list[int]:
    """Items in an order whose every beginning holds each mode as often as its share."""
    size, seen = Counter(modes), Counter[tuple[int, ...]]()
    places = []
    for number, mode in enumerate(modes):
        places.append(((seen[mode] + 0.5) / size[mode], number))
        seen[mode] += 1
    return [number for _, number in sorted(places)]
