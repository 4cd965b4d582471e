"""Slices nobody tagged: clusters of prompts by embedding, named by their keywords."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from residency.interfaces import Embedder
from residency.nouns.example import Example
from residency.nouns.issue import Slice
from residency.text.words import split_words

_ITEMS_A_CLUSTER = 20
_MOST = 16
_KEYWORDS = 3
_LONGEST = 40
"""Letters of the longest word that can name a cluster."""
_COMMON = 0.5


def cluster_slices(
    examples: Sequence[Example],
    embedder: Embedder,
    *,
    also: Sequence[Example] = (),
    placed: Sequence[Example] = (),
    count: int | None = None,
    seed: int = 0,
) -> list[Slice]:
    """Clusters of the examples' prompts as slices, largest first.

    Args:
        examples: whose clusters are wanted (dev).
        also: examples (the sealed test, the pool) that join their nearest cluster without
            shaping it, so that an issue can be followed there.
        placed: rows that nobody has yet (made ones): as ``also``, and what the prompts of the others
            share is told without them, so that the clusters are the same with and without them.
        count: number of clusters; default one for twenty examples, at most 16.
    """
    wanted = count or min(_MOST, len(examples) // _ITEMS_A_CLUSTER)
    if wanted < 2 or len(examples) < wanted:
        return []
    known = {e.id for e in examples}
    joining = [e for e in also if e.id not in known]
    everyone = [*examples, *joining, *placed]
    texts = _list_texts(everyone, len(examples) + len(joining))
    vectors = np.asarray(embedder.embed([" ".join(text) for text in texts]))
    labels = cluster_vectors(vectors, wanted, fit=len(examples), seed=seed)
    dev_labels = labels[: len(examples)]
    names = name_clusters([texts[i] for i in range(len(examples))], dev_labels.tolist())
    sizes = Counter(dev_labels.tolist())
    return [
        Slice(
            "cluster",
            names[label],
            tuple(
                e.id
                for e, label_of_example in zip(everyone, labels.tolist(), strict=True)
                if label_of_example == label
            ),
        )
        for label, _ in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    ]


def cluster_vectors(
    vectors: Any, count: int, *, fit: int | None = None, seed: int = 0
) -> np.ndarray:
    """Cluster numbers of unit vectors; only the first ``fit`` rows (default all) shape them."""
    # Imported here: it takes most of a second, and only clustering needs it.
    from sklearn.cluster import KMeans

    model = KMeans(count, random_state=seed, n_init=4).fit(np.asarray(vectors)[:fit])
    return np.asarray(model.predict(np.asarray(vectors)))


def _list_texts(examples: Sequence[Example], counted: int) -> list[list[str]]:
    """Words of each prompt, without lines (instructions) that most of the first ``counted`` share."""
    lines = [
        [
            line
            for turn in e.prompt
            for part in (turn.content, turn.input)
            for line in part.splitlines()
        ]
        for e in examples
    ]
    counts = Counter(line for lines_of_prompt in lines[:counted] for line in set(lines_of_prompt))
    limit = max(2.0, _COMMON * counted)
    return [
        split_words(
            " ".join([line for line in lines_of_prompt if counts[line] < limit] or lines_of_prompt)
        )
        for lines_of_prompt in lines
    ]


def name_clusters(texts: Sequence[Sequence[str]], labels: Sequence[int]) -> dict[int, str]:
    """A name for each cluster: its three words of highest class-based tf-idf (Grootendorst 2022).

    tf is the share of the cluster's texts that hold the word; idf = ln(1 + A / f) with A the
    mean texts a cluster and f the texts overall that hold it. Two clusters never share a name.
    """
    overall: Counter[str] = Counter()
    inside: dict[int, Counter[str]] = {label: Counter() for label in set(labels)}
    for text, label in zip(texts, labels, strict=True):
        distinct_words = {word for word in text if 2 < len(word) <= _LONGEST and not word.isdigit()}
        overall.update(distinct_words)
        inside[label].update(distinct_words)
    mean = len(texts) / max(1, len(inside))
    names: dict[int, str] = {}
    for label in sorted(inside):
        counts = inside[label]

        def weight(word: str, counts: Counter[str] = counts) -> float:
            return (
                counts[word] * math.log(1 + mean / overall[word]) * (counts[word] / overall[word])
            )

        ranked = sorted(counts, key=lambda word: (-weight(word), word))
        size = _KEYWORDS
        name = ", ".join(ranked[:size])
        while name in names.values() and size < len(ranked):
            size += 1
            name = ", ".join(ranked[:size])
        names[label] = name or f"cluster {label}"
    return names


def find_medoids(vectors: Any, labels: Sequence[int]) -> dict[int, int]:
    """Cluster → position of the text nearest to its mean (the medoid by cosine)."""
    medoids = {}
    array, owners = np.asarray(vectors), np.asarray(labels)
    for label in sorted(set(labels)):
        places = np.flatnonzero(owners == label)
        centre = array[places].mean(axis=0)
        medoids[label] = int(places[(array[places] @ centre).argmax()])
    return medoids
