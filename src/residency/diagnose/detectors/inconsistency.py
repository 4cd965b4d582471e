"""Different answers to the same question: paraphrase groups and repeated samples.

Two answers are compared where their references agree: field by field for ``key: value``
answers; for prose by numbers, negations and opposites first, then by embedding. An answer fails when it disagrees with more than half of its
partners. An example with no paraphrase and one sample has no partner and is unscored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from residency.diagnose.detectors.base import Context, Item, make_finding
from residency.diagnose.semantic_entropy import cluster_meanings, semantic_entropy
from residency.diagnose.text_conflicts import find_conflict
from residency.nouns.finding import Finding, Span
from residency.text.answer_fields import Field
from residency.text.percent import write_percent
from residency.text.words import split_words

NAME, VERSION = "inconsistency", "6"
_REWORDED = 0.2


def detect_inconsistency(items: Sequence[Item], context: Context) -> list[Finding]:
    """One finding an item; value is the share of partners that it agrees with."""
    vectors = context.embedder.embed([item.response.text for item in items])
    families: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, item in enumerate(items):
        families[item.response.model, item.example.group or item.example.id].append(i)
    against: dict[int, list[tuple[int, str | None]]] = defaultdict(list)
    for family in families.values():
        for a, b in combinations(family, 2):
            if items[a].response.error or items[b].response.error:
                continue
            if not _are_comparable(items[a], items[b]):
                continue
            similarity = float(np.dot(vectors[a], vectors[b]))
            why = _find_difference(items[a], items[b], similarity, context.config.similar)
            against[a].append((b, why))
            against[b].append((a, why))
    return [
        _judge_partners(item, against.get(i, ()), items, context) for i, item in enumerate(items)
    ]


def _judge_partners(
    item: Item,
    partners: Sequence[tuple[int, str | None]],
    items: Sequence[Item],
    context: Context,
) -> Finding:
    if not partners:
        return make_finding(
            NAME, VERSION, item, "unscored", message="no paraphrase or second sample"
        )
    differing = [(j, why) for j, why in partners if why is not None]
    agreement = 1 - len(differing) / len(partners)
    if 2 * len(differing) <= len(partners):
        return make_finding(NAME, VERSION, item, "pass", value=agreement)
    texts = [item.response.text, *(items[j].response.text for j, _ in partners)]
    labels = cluster_meanings(texts, context.embedder, context.config.similar)
    entropy = f"{max(labels) + 1} meaning(s), semantic entropy {semantic_entropy(labels):.2f}"
    other, why = differing[0]
    assert why is not None
    return make_finding(
        NAME,
        VERSION,
        item,
        "fail",
        severity=0.3 + 0.4 * (1 - agreement),
        spans=_list_evidence(item, items[other]),
        message=f"{why}; agrees with {write_percent(agreement, 0)} of {len(partners)} partner(s); {entropy}",
        value=agreement,
    )


def _are_comparable(a: Item, b: Item) -> bool:
    """Samples of one prompt always are; paraphrases where a reference says the same."""
    if a.example.id == b.example.id or not a.reference or not b.reference:
        return True
    if a.reference_fields and b.reference_fields:
        return bool(_shared_keys(a, b))
    return split_words(a.reference) == split_words(b.reference)


def _shared_keys(a: Item, b: Item) -> list[str]:
    """Fields whose references agree and hold a value rather than prose."""
    left, right = a.reference_fields, b.reference_fields
    if not left and not right:
        left, right = a.response_fields, b.response_fields
        return [k for k in left if k in right and not (left[k].is_prose or right[k].is_prose)]
    return [
        key
        for key in left
        if key in right
        and not (left[key].is_prose or right[key].is_prose)
        and _are_same(left[key], right[key])
    ]


def _are_same(a: Field, b: Field) -> bool:
    return split_words(a.value) == split_words(b.value) or (a.is_empty and b.is_empty)


def _find_difference(a: Item, b: Item, similarity: float, similar: float) -> str | None:
    """What sets the two answers apart, or None."""
    keys = _shared_keys(a, b)
    if not keys:
        return _differs_as_text(a.response.text, b.response.text, similarity, similar)
    for key in keys:
        left, right = a.response_fields.get(key), b.response_fields.get(key)
        if left is None and right is None:
            continue
        if left is None or right is None:
            return f"{key} is there in one answer and missing in the other"
        if not _are_same(left, right):
            return f"{key}: {left.value!r} and {right.value!r}"
    if not a.response_fields and not b.response_fields:
        return _differs_as_text(a.response.text, b.response.text, similarity, similar)
    return None


def _differs_as_text(a: str, b: str, similarity: float, similar: float) -> str | None:
    """Numbers, negations and opposites first; only then the embedding.

    Where those agree a rewording may be less alike than ``similar``: by ``_REWORDED``.
    """
    if split_words(a) == split_words(b):
        return None
    conflict = find_conflict(a, b)
    if conflict:
        return f"says something else: {conflict}"
    if similarity >= similar - _REWORDED:
        return None
    return f"says something else (similarity {similarity:.2f})"


def _list_evidence(item: Item, other: Item) -> list[Span]:
    mine, theirs = item.response_fields, other.response_fields
    spans = []
    for key in _shared_keys(item, other):
        if key in mine and (key not in theirs or not _are_same(mine[key], theirs[key])):
            other_value = theirs[key].value if key in theirs else "nothing"
            spans.append(Span(mine[key].start, mine[key].end, f"a paraphrase got {other_value!r}"))
    return spans or [Span(0, len(item.response.text), f"another got {other.response.text[:80]!r}")]
