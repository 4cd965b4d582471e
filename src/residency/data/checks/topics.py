"""Topics, near-meaning duplicates and suspect labels, from embeddings of a sample of prompts."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np

from residency.data.checks.figures import EXAMPLES, Figure, Sighting, View, shorten_text
from residency.interfaces import Embedder
from residency.overlap.distinct_text import SHARED_ROWS, SHARED_SHARE, user_parts

SEMANTIC = 0.95
"""Cosine from which two prompts count as duplicates in meaning."""
LABEL_VALUES = 50
NEIGHBOURS = 10
AGREEMENT = 0.9
_FIELD = re.compile(r"^\s*[\"']?([\w ]{1,30})[\"']?\s*[:=]\s*(.{1,60}?)\s*,?$", re.MULTILINE)

Vectors = np.ndarray[Any, np.dtype[np.float32]]


def embed_prompts(views: list[View], embedder: Embedder) -> Vectors:
    """Unit vectors of what the rows ask, shape (rows, dimensions)."""
    return np.asarray(embedder.embed(list_asked_texts(views)), np.float32)


def list_asked_texts(views: list[View]) -> list[str]:
    """What each row asks, without an instruction that many rows share beside their inputs."""
    parts = [user_parts(v.example) for v in views]
    times = Counter(instruction for instruction, _ in parts)
    least = max(SHARED_ROWS, SHARED_SHARE * len(views))
    return [
        (input_text if times[instruction] >= least else f"{instruction}\n{input_text}".lstrip())[
            :2000
        ]
        for instruction, input_text in parts
    ]


def find_topics(views: list[View], vectors: Vectors, *, partial: bool) -> Figure:
    """Clusters of prompts (k-means on embeddings), named by the words that set them apart."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.feature_extraction.text import CountVectorizer
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    count = max(2, min(12, len(views) // 25))
    if len(views) < 50:
        return Figure("topics", "topics (too few rows to cluster)", 0, len(views))
    with threadpool_limits(1):
        model = MiniBatchKMeans(count, random_state=0, n_init=3, batch_size=1024)
        labels = model.fit_predict(vectors)
    texts = list_asked_texts(views)
    counter = CountVectorizer(
        max_features=4000, stop_words="english", max_df=0.5, token_pattern=r"(?u)\b[^\W\d_]{3,}\b"
    )
    try:
        table = counter.fit_transform(texts)
    except ValueError:  # no words at all
        return Figure("topics", "topics (no words to name them by)", 0, len(views))
    names = counter.get_feature_names_out()
    # Class-based TF-IDF (Grootendorst 2022): frequency in the cluster, weighed by how rare the
    # word is over all clusters.
    sums = np.stack([np.asarray(table[labels == c].sum(axis=0)).ravel() for c in range(count)])
    share = sums / np.maximum(1, sums.sum(axis=1, keepdims=True))
    rarity = np.log1p(sums.sum() / count / np.maximum(1, sums.sum(axis=0)))
    weights = share * rarity
    sizes = Counter(labels.tolist())
    details = tuple(
        (", ".join(names[weights[c].argsort()[::-1][:4]]), sizes[c] / len(views))
        for c, _ in sizes.most_common()
    )
    largest = details[0][1] if details else 0.0
    return Figure(
        "topics",
        "topics of the prompts",
        len(views),
        len(views),
        "warn" if largest > 0.6 else "info",
        value=float(len(sizes)),
        action="one topic holds most rows: add others, or say so" if largest > 0.6 else "",
        sampled=partial,
        details=details,
    )


def find_semantic_duplicates(views: list[View], vectors: Vectors, *, partial: bool) -> Figure:
    """Prompts that say nearly the same in other words (cosine ≥ 0.95)."""
    texts = list_asked_texts(views)
    pairs: list[tuple[float, int, int]] = []
    rows: set[int] = set()
    for begin in range(0, len(views), 512):
        scores = vectors[begin : begin + 512] @ vectors.T
        for a, b in zip(*np.nonzero(scores >= SEMANTIC), strict=True):
            first, right = begin + int(a), int(b)
            if first < right and views[first].prompt != views[right].prompt:
                rows.add(right)
                if len(pairs) < 1000:
                    pairs.append((float(scores[a, b]), first, right))
    pairs.sort(reverse=True)
    return Figure(
        "semantic_duplicates",
        "prompts near in meaning to another (cosine ≥ 0.95)",
        len(rows),
        len(views),
        "warn" if len(rows) > 0.1 * len(views) else "info",
        examples=tuple(
            Sighting(
                views[b].example.source,
                shorten_text(f"{score:.3f} with {views[a].example.source}: {texts[b]}"),
            )
            for score, a, b in pairs[:EXAMPLES]
        ),
        action="paraphrases help consistency; many of them hide how few cases there are"
        if rows
        else "",
        sampled=partial,
    )


def find_label_suspects(views: list[View], vectors: Vectors, *, partial: bool) -> Figure:
    """Rows whose label differs from that of at least 9 of their 10 nearest rows.

    A label is a short answer that many rows share, or a field of an answer in ``name: value``
    form with at most 50 values.
    """
    fields = _list_labels(views)
    hits: list[tuple[int, str, str, str]] = []
    if fields and len(views) > 4 * NEIGHBOURS:
        neighbours = _find_neighbours(vectors)
        for name, values in fields.items():
            for row, value in enumerate(values):
                votes = Counter(values[n] for n in neighbours[row] if values[n])
                best, count = votes.most_common(1)[0] if votes else ("", 0)
                if value and best != value and count >= AGREEMENT * NEIGHBOURS:
                    hits.append((row, name, value, best))
    rows = {row for row, *_ in hits}
    texts = list_asked_texts(views)
    return Figure(
        "label_suspects",
        "labels unlike those of the nearest rows (suspects)",
        len(rows),
        len(views) if fields else 0,
        "warn" if rows else "info",
        examples=tuple(
            Sighting(
                views[row].example.source,
                shorten_text(f"{name}: {value}, its neighbours say {best}: {texts[row]}"),
            )
            for row, name, value, best in hits[:EXAMPLES]
        ),
        action="look at these first: they are wrong, or hard cases worth more rows" if rows else "",
        sampled=partial,
    )


def _list_labels(views: list[View]) -> dict[str, list[str]]:
    """Field name → the value in every row (empty where a row has none)."""
    values_of: dict[str, list[str]] = {}
    for row, view in enumerate(views):
        pairs = _FIELD.findall(view.answer) if "\n" in view.answer or ":" in view.answer else []
        if not pairs and len(view.words) <= 4:
            pairs = [("answer", view.answer.strip())]
        for name, value in pairs[:20]:
            column = values_of.setdefault(name.strip().lower(), [""] * len(views))
            column[row] = value.strip(" \"'").lower()
        if len(values_of) > 200:
            return {}  # free text with colons, not fields
    out = {}
    for name, values in values_of.items():
        filled = [v for v in values if v]
        kinds = Counter(filled)
        if len(filled) >= 0.5 * len(views) and 2 <= len(kinds) <= LABEL_VALUES:
            out[name] = values
    return out


def _find_neighbours(vectors: Vectors) -> np.ndarray[Any, np.dtype[np.int64]]:
    out = np.empty((len(vectors), NEIGHBOURS), np.int64)
    for begin in range(0, len(vectors), 512):
        scores = vectors[begin : begin + 512] @ vectors.T
        scores[np.arange(len(scores)), begin + np.arange(len(scores))] = -2
        out[begin : begin + 512] = np.argpartition(-scores, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    return out
