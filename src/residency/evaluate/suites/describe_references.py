"""What references have in common: fields, values that recur, numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from residency.text.answer_fields import Parse, parse_answer
from residency.text.lone_values import LoneValue, find_lone_value
from residency.text.normal_form import normalise_answer
from residency.text.words import split_words

STRUCTURED = 0.9
"""Share of references that must have the same fields."""
_ROWS_A_VALUE = 3


@dataclass(frozen=True)
class Structure:
    """Fields that references share: name → value of each row that has them, in order."""

    parse: Parse
    values: dict[str, list[str]]
    rows: int
    total: int


def find_structure(references: Sequence[str]) -> Structure | None:
    """The fields that nine of ten references have, as lines or as JSON; None for other texts."""
    ways: tuple[Parse, ...] = ("json", "lines")
    for parse in ways:
        parsed = [parse_answer(text, parse) for text in references]
        clean = [p for p in parsed if p.fields and not p.problems and not p.unjudgeable]
        if not clean or len(clean) < STRUCTURED * len(references):
            continue
        often = Counter(name for p in clean for name in p.fields)
        names = [n for n in clean[0].fields if often[n] >= STRUCTURED * len(clean)]
        names += [
            n for n, c in often.most_common() if c >= STRUCTURED * len(clean) and n not in names
        ]
        rows = [p for p in clean if all(name in p.fields for name in names)]
        if names and len(rows) >= STRUCTURED * len(references) and _are_fields(parse, names, rows):
            values = {name: [p.fields[name].value for p in rows] for name in names}
            return Structure(parse, values, len(rows), len(references))
    return None


def _are_fields(parse: Parse, names: Sequence[str], rows: Sequence[object]) -> bool:
    """One line with a colon in all rows is a turn of phrase, unless it is short."""
    return parse == "json" or len(names) > 1 or len(split_words(names[0])) <= 3


def find_closed_values(texts: Sequence[str], *, most: int) -> list[str]:
    """Values that recur three times or more on average, as they are written most often.

    Empty where there are fewer than two, or more than ``most``, or where they are sentences.
    """
    written: dict[str, Counter[str]] = {}
    for text in texts:
        written.setdefault(normalise_answer(text), Counter())[text.strip()] += 1
    if not 2 <= len(written) <= most or len(texts) < _ROWS_A_VALUE * len(written):
        return []
    if any(not key or len(split_words(key)) > 6 for key in written):
        return []
    often = sorted(written.items(), key=lambda item: (-item[1].total(), item[0]))
    return [spellings.most_common(1)[0][0] for _, spellings in often]


def is_mostly(value: LoneValue, references: Sequence[str]) -> bool:
    """Whether nine of ten references are such a value and nothing else."""
    alone = sum(find_lone_value(text) == value for text in references)
    return alone >= STRUCTURED * len(references)
