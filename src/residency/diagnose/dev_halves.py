"""Which dev items find issues and which measure them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from residency.nouns.example import Example


def split_halves(
    examples: Iterable[Example], seed: int, *, share: float = 0.4
) -> tuple[set[str], set[str]]:
    """Example ids of the finding half and of the measuring half.

    An issue is found because its rate was high on the finding items, so its later fall is
    measured on the others. The half of an item follows from its group and the seed alone:
    paraphrases stay together, and no row ever changes sides when rows are added, dropped or
    reordered (an item that once found an issue can never come to measure it). Tags are
    therefore balanced in expectation, not exactly.

    Args:
        share: share of the groups that find.
    """
    finding: set[str] = set()
    measuring: set[str] = set()
    for example in examples:
        key = f"{seed}\x1f{example.group or example.id}".encode()
        point = int.from_bytes(hashlib.sha256(key).digest()[:8], "big") / 2**64
        (finding if point < share else measuring).add(example.id)
    return finding, measuring
