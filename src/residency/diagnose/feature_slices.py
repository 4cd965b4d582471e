"""Slices by what the data itself says: the right class or field value, and words of the prompt.

They come from dev; examples of other splits join by the same rule, so that an issue can be
followed on the sealed test and rows of the pool drawn for it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from residency.nouns.example import Example
from residency.nouns.issue import Slice
from residency.text.answer_fields import find_fields
from residency.text.words import list_ngrams, split_words

_FEWEST = 8
_MOST_VALUES = 60
_MOST_WORDS = 40
_LONGEST_CLASS = 5
_SHARE = 0.5
"""A slice of more than this share of dev says little of where."""
ANSWER = "answer"
"""Name of the field of an answer that is one class."""


def slice_by_features(dev: Sequence[Example], *, also: Sequence[Example] = ()) -> list[Slice]:
    """Slices by the reference's class or field values, and by words and pairs of words of prompts.

    Args:
        also: examples of other splits, which join the slices of dev.
    """
    everyone = [*dev, *also]
    return [*_slice_by_values(dev, everyone), *_slice_by_words(dev, everyone)]


def read_values(text: str) -> dict[str, str]:
    """The class of a short answer, or the values of its fields, in lower case."""
    fields = find_fields(text)
    if fields:
        return {
            key: " ".join(split_words(field.value)) or "none"
            for key, field in fields.items()
            if not field.is_prose
        }
    words = split_words(text)
    return {ANSWER: " ".join(words)} if 0 < len(words) <= _LONGEST_CLASS else {}


def _slice_by_values(dev: Sequence[Example], everyone: Sequence[Example]) -> list[Slice]:
    """One slice for each value of a field with few values that come often."""
    values = {example.id: read_values(example.reference or "") for example in everyone}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for example in dev:
        for key, value in values[example.id].items():
            counts[key][value] += 1
    slices = []
    for key, value_counts in sorted(counts.items()):
        if len(value_counts) > _MOST_VALUES or value_counts.total() < 3 * len(value_counts):
            continue
        for value, count in sorted(value_counts.items(), key=lambda pair: (-pair[1], pair[0])):
            if _FEWEST <= count <= _SHARE * len(dev):
                members = tuple(e.id for e in everyone if values[e.id].get(key) == value)
                slices.append(Slice("field", f"{key} = {value}", members))
    return slices


def _slice_by_words(dev: Sequence[Example], everyone: Sequence[Example]) -> list[Slice]:
    """The words and pairs of words that stand in neither few nor most prompts, the commonest."""
    grams = {example.id: _list_grams(example) for example in everyone}
    counts = Counter(gram for example in dev for gram in grams[example.id])
    usable = [gram for gram, count in counts.items() if _FEWEST <= count <= _SHARE * 0.6 * len(dev)]
    usable.sort(key=lambda gram: (-counts[gram], gram))
    return [
        Slice("words", f"“{gram}”", tuple(e.id for e in everyone if gram in grams[e.id]))
        for gram in usable[:_MOST_WORDS]
    ]


def _list_grams(example: Example) -> set[str]:
    turns: Iterable[str] = (turn.input or turn.content for turn in example.prompt)
    words = split_words("\n".join(turns))
    pairs = {" ".join(map(str, gram)) for gram in list_ngrams(words, 2)}
    return {word for word in words if len(word) >= 4} | pairs


def name_confusion(failing: Sequence[Example], answers: Sequence[str], where: Slice) -> str:
    """What a class or field value is mostly taken for; empty where nothing stands out.

    Args:
        failing: examples of the slice that fail. answers: what was answered to each.
    """
    key = where.value.partition(" = ")[0]
    wrong_values = Counter(
        value
        for example, answer in zip(failing, answers, strict=True)
        if (value := read_values(answer).get(key))
        and value != read_values(example.reference or "").get(key)
    )
    if not wrong_values:
        return ""
    value, count = wrong_values.most_common(1)[0]
    return value if count >= max(3, 0.5 * len(failing)) else ""
