"""What a row asks, without what every row says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from residency.nouns.example import Example

_FEWEST = 5
_SHARE = 0.1


def _lines(example: Example) -> list[str]:
    turns = example.prompt or example.messages
    return [
        line.strip()
        for turn in turns
        for part in (turn.content, turn.input)
        for line in part.splitlines()
        if line.strip()
    ]


def boilerplate(examples: Iterable[Example]) -> set[str]:
    """Lines that stand in at least a tenth (and five) of the prompts: instructions, headings."""
    counts: Counter[str] = Counter()
    total = 0
    for example in examples:
        total += 1
        counts.update(set(_lines(example)))
    limit = max(_FEWEST, _SHARE * total)
    return {line for line, count in counts.items() if count >= limit}


def focus(example: Example, common: set[str]) -> str:
    """The prompt's lines that are not boilerplate; the whole prompt if nothing else is left.

    A row without a prompt (raw text) is taken whole.
    """
    lines = _lines(example)
    return "\n".join([line for line in lines if line not in common] or lines)


def focused(examples: Sequence[Example], common: set[str]) -> list[str]:
    """``focus`` of each example."""
    return [focus(example, common) for example in examples]
