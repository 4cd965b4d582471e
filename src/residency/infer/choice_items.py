"""Choices of a question that share a context, and questions that begin alike, in groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from residency.infer.encode_requests import Request
from residency.infer.shared_prefix import count_shared_tokens

_MIN_PREFIX = 8
"""A shorter shared prefix is not worth a separate attention product."""


@dataclass
class Item:
    """The choices of one question: a shared context and a branch for each distinct rest.

    Attributes:
        index: its position in the caller's list. requests: its choices, in the caller's order.
        shared: number of leading tokens that all its inputs have in common.
        branches: the distinct rests. of: which branch each request reads.
    """

    index: int
    requests: Sequence[Request]
    shared: int = 0
    branches: list[tuple[int, ...]] = field(default_factory=list)
    of: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        inputs = [request.inputs for request in self.requests]
        self.shared = count_shared_tokens(inputs)
        numbers: dict[tuple[int, ...], int] = {}
        self.of = [numbers.setdefault(ids[self.shared :], len(numbers)) for ids in inputs]
        self.branches = list(numbers)

    @property
    def context(self) -> tuple[int, ...]:
        """The shared tokens."""
        return self.requests[0].inputs[: self.shared]

    @property
    def free(self) -> int:
        """Leading tokens whose outputs nobody needs: they may come from a cached prefix."""
        first = min(len(r.inputs) - len(r.targets) for r in self.requests)
        return max(0, min(first, self.shared - 1))


@dataclass
class Group:
    """Items that share their first ``prefix`` tokens."""

    items: list[Item]
    prefix: int


def group_items(items: Sequence[Item]) -> list[Group]:
    """Groups of items that begin alike; items that share with nobody form one group without.

    Sorted by their ids, items that begin alike are neighbours. One joins the group before it
    while that loses no tokens already saved, and unless it shares far more with the next one
    (the first question of another subject).
    """
    ordered = sorted(items, key=lambda item: item.context)
    groups: list[Group] = []
    for at, item in enumerate(ordered):
        ahead = _count_common_tokens(item, ordered[at + 1]) if at + 1 < len(ordered) else 0
        if groups:
            last = groups[-1]
            both = min(last.prefix, _count_common_tokens(last.items[0], item))
            gain = both * len(last.items) - last.prefix * (len(last.items) - 1)
            if both >= _MIN_PREFIX and gain >= 0 and 2 * gain >= ahead:
                last.items.append(item)
                last.prefix = both
                continue
        groups.append(Group([item], item.free))
    shared = [group for group in groups if len(group.items) > 1]
    alone = [group.items[0] for group in groups if len(group.items) == 1]
    return [*shared, Group(alone, 0)] if alone else shared


def _count_common_tokens(a: Item, b: Item) -> int:
    return min(count_shared_tokens([a.context, b.context]), a.free, b.free)
