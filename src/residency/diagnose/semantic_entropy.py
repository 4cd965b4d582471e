"""Semantic entropy and self-consistency of several samples of one prompt.

Samples are clustered by meaning (Kuhn, Gal and Farquhar 2023, with an embedding threshold
instead of mutual entailment); H = −Σ p ln p over the clusters is 0 when all samples say the
same. A model that is confidently wrong says the same thing each time: its entropy is 0 and
self-consistency does not see the error.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from residency.diagnose.text_conflicts import find_conflict
from residency.interfaces import Embedder
from residency.nouns.finding import Span
from residency.text.answer_fields import Field, find_fields
from residency.text.words import split_words

_SENTENCE = re.compile(r"[^\n.!?]+[.!?]*")


def cluster_meanings(texts: Sequence[str], embedder: Embedder, similar: float) -> list[int]:
    """A cluster number for each text: it joins the first cluster whose first text means the same.

    ``key: value`` texts mean the same when all their values agree (prose values apart); others
    when their words agree, or the cosine of their embeddings reaches ``similar`` and no number,
    negation or opposite sets them apart.
    """
    vectors = np.asarray(embedder.embed(list(texts)))
    tables = [find_fields(text) for text in texts]
    firsts: list[int] = []
    labels = []
    for i, text in enumerate(texts):
        for label, first in enumerate(firsts):
            if tables[i] or tables[first]:
                same = _list_values(tables[i]) == _list_values(tables[first])
            else:
                same = split_words(text) == split_words(texts[first])
                same = same or (
                    float(vectors[i] @ vectors[first]) >= similar
                    and find_conflict(text, texts[first]) is None
                )
            if same:
                labels.append(label)
                break
        else:
            labels.append(len(firsts))
            firsts.append(i)
    return labels


def semantic_entropy(labels: Sequence[int]) -> float:
    """H = −Σ p ln p over clusters of meaning, in nats; at most ln(number of samples)."""
    counts = Counter(labels).values()
    return -sum(c / len(labels) * math.log(c / len(labels)) for c in counts) + 0.0


def unsupported_sentences(
    text: str, others: Sequence[str], embedder: Embedder, similar: float
) -> list[Span]:
    """Sentences that fewer than half of the other samples hold too (after SelfCheckGPT,
    Manakul et al. 2023): a sample holds one if one of its sentences comes as near as
    ``similar``."""
    mine = [(m.start(), m.end()) for m in _SENTENCE.finditer(text) if m[0].strip(" .!?")]
    if not mine or not others:
        return []
    vectors = np.asarray(embedder.embed([text[a:b] for a, b in mine]))
    support = np.zeros(len(mine))
    for other in others:
        theirs = [m[0] for m in _SENTENCE.finditer(other)]
        if theirs:
            cosine = vectors @ np.asarray(embedder.embed(theirs)).T
            support += cosine.max(axis=1) >= similar
    spans = []
    for (start, end), held in zip(mine, support.tolist(), strict=True):
        if 2 * held < len(others):
            start += len(text[start:end]) - len(text[start:end].lstrip())
            spans.append(Span(start, end, f"{held:.0f} of {len(others)} other samples say so"))
    return spans


def _list_values(table: dict[str, Field]) -> dict[str, list[str]]:
    return {
        k: [] if f.is_empty else split_words(f.value) for k, f in table.items() if not f.is_prose
    }
