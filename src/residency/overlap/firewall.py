"""Nothing that is trained on may come near dev or test.

A row is rejected when, after boilerplate is set aside, it

1. has the same words as a protected prompt;
2. shares a run of 13 words with one (the contamination rule of Brown et al. 2020);
3. shares 8-word runs that cover at least a third of the shorter prompt;
4. is a near-duplicate: word-pair Jaccard ≥ 0.5;
5. means nearly the same: cosine of embeddings ≥ 0.82, or more where honest rows of the
   task are as near to each other (see ``_embedding_limit``).

Boilerplate is what many rows of the task share: prompt lines and word pairs in a tenth of the
rows (at least five), longer word runs in one row in 200 (at least five). Prose lines of 25
words or more in the references are compared by rule 2 too, so that an answer does not leak
without its prompt.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from residency.interfaces import Embedder
from residency.nouns.example import Example
from residency.overlap.boilerplate import boilerplate, focused
from residency.text.words import jaccard, ngrams, words

LONG, SHORT = 13, 8
_COVERED = 1 / 3
_JACCARD = 0.5
_COSINE, _COSINE_MOST, _COPY = 0.82, 0.97, 0.995
_PROSE_LINE = 25
_FEWEST_ROWS = 20

Gram = tuple[Hashable, ...]


@dataclass(frozen=True)
class Rejection:
    """A row that may not be trained on: which protected example it comes near, and how."""

    example: Example
    near: str
    rule: str
    reason: str


@dataclass(frozen=True)
class FirewallResult:
    """Rows that may be used, in order, and those that may not, with the reason."""

    accepted: tuple[Example, ...]
    rejected: tuple[Rejection, ...]


def firewall(
    rows: Sequence[Example],
    protected: Sequence[Example],
    embedder: Embedder,
    *,
    background: Sequence[Example] = (),
) -> FirewallResult:
    """Check ``rows`` (train, selected or generated) against ``protected`` (dev and test).

    Args:
        background: rows of the same task (train and pool), by which boilerplate and the usual
            nearness are judged. Without them ``rows`` themselves serve.
    """
    if not rows or not protected:
        return FirewallResult(tuple(rows), ())
    index = _Index(protected, embedder, list(background) or rows)
    texts = focused(rows, index.common)
    vectors = np.asarray(embedder.embed(texts))
    accepted: list[Example] = []
    rejected: list[Rejection] = []
    for row, text, vector in zip(rows, texts, vectors, strict=True):
        found = index.near(row, text, vector)
        if found is None:
            accepted.append(row)
        else:
            rejected.append(found)
    return FirewallResult(tuple(accepted), tuple(rejected))


class _Index:
    """The protected examples, ready to be compared with."""

    def __init__(
        self, protected: Sequence[Example], embedder: Embedder, background: Sequence[Example]
    ) -> None:
        self.protected = protected
        self.common = boilerplate([*background, *protected])
        texts = focused(protected, self.common)
        self.words = [words(text) for text in texts]
        self.vectors = np.asarray(embedder.embed(texts))
        behind = focused(background, self.common)
        self.usual = _usual_grams([words(text) for text in behind])
        self.exact = {" ".join(found): i for i, found in enumerate(self.words) if found}
        self.usual_pairs = _usual_pairs([words(text) for text in behind])
        self.pairs = [set(ngrams(found, 2)) - self.usual_pairs for found in self.words]
        self.long: dict[Gram, int] = {}
        self.short: dict[Gram, set[int]] = defaultdict(set)
        for i, found in enumerate(self.words):
            for gram in self._rare(found, LONG):
                self.long.setdefault(gram, i)
            for gram in self._rare(found, SHORT):
                self.short[gram].add(i)
        usual_answers = _usual_grams([words(e.reference or "") for e in background])
        self.answers: dict[Gram, int] = {}
        for i, example in enumerate(protected):
            for gram in _long_answer(example):
                if gram not in usual_answers:
                    self.answers.setdefault(gram, i)
        self.limit = _embedding_limit(np.asarray(embedder.embed(behind)), self.vectors)

    def _rare(self, found: Sequence[str], n: int) -> list[Gram]:
        return [gram for gram in ngrams(found, n) if gram not in self.usual]

    def near(self, row: Example, text: str, vector: np.ndarray) -> Rejection | None:
        """The first rule that rejects the row, or None."""
        found = words(text)
        if not found:
            return None
        same = self.exact.get(" ".join(found))
        if same is not None:
            return self._reject(row, same, "exact", "the same words")
        for gram in self._rare(found, LONG):
            if gram in self.long:
                shared = f"shares 13 words in a row: “{' '.join(map(str, gram))}”"
                return self._reject(row, self.long[gram], "13-gram", shared)
        for gram in _long_answer(row):
            if gram in self.answers:
                shared = f"its answer shares 13 words in a row: “{' '.join(map(str, gram))}”"
                return self._reject(row, self.answers[gram], "answer 13-gram", shared)
        return self._short(row, found) or self._alike(row, found, vector)

    def _short(self, row: Example, found: Sequence[str]) -> Rejection | None:
        covered: dict[int, set[int]] = defaultdict(set)
        for i, gram in enumerate(ngrams(found, SHORT)):
            if gram not in self.usual:
                for other in self.short.get(gram, ()):
                    covered[other].update(range(i, i + SHORT))
        for other, places in sorted(covered.items()):
            share = len(places) / min(len(found), len(self.words[other]))
            if share >= _COVERED:
                reason = f"8-word runs cover {share:.0%} of the shorter prompt"
                return self._reject(row, other, "8-gram", reason)
        return None

    def _alike(self, row: Example, found: Sequence[str], vector: np.ndarray) -> Rejection | None:
        cosine = self.vectors @ vector
        pairs = set(ngrams(found, 2)) - self.usual_pairs
        # Near-duplicates by words are near in meaning too, so only the nearest are compared.
        for other in np.argsort(-cosine)[:20].tolist():
            overlap = jaccard(pairs, self.pairs[other])
            if overlap >= _JACCARD:
                reason = f"near-duplicate: {overlap:.0%} of the word pairs are shared"
                return self._reject(row, other, "near-duplicate", reason)
        nearest = int(cosine.argmax())
        if cosine[nearest] >= self.limit:
            reason = f"means nearly the same: cosine {cosine[nearest]:.2f} ≥ {self.limit:.2f}"
            return self._reject(row, nearest, "embedding", reason)
        return None

    def _reject(self, row: Example, other: int, rule: str, reason: str) -> Rejection:
        near = self.protected[other]
        return Rejection(row, near.id, rule, f"{reason} ({near.split} {near.source or near.id})")


def _usual_grams(texts: Sequence[Sequence[str]]) -> set[Gram]:
    counts: Counter[Gram] = Counter()
    for found in texts:
        counts.update({*ngrams(found, SHORT), *ngrams(found, LONG)})
    limit = max(5, len(texts) / 200)
    return {gram for gram, count in counts.items() if count >= limit}


def _usual_pairs(texts: Sequence[Sequence[str]]) -> set[Gram]:
    counts: Counter[Gram] = Counter()
    for found in texts:
        counts.update(set(ngrams(found, 2)))
    limit = max(5, len(texts) / 10)
    return {pair for pair, count in counts.items() if count >= limit}


def _long_answer(example: Example) -> list[Gram]:
    """13-word runs of the reference's prose lines; short structured lines are no evidence."""
    lines = (example.reference or "").splitlines() if example.prompt else []
    found = [words(line) for line in lines]
    return [gram for line in found if len(line) >= _PROSE_LINE for gram in ngrams(line, LONG)]


def _embedding_limit(background: np.ndarray, protected: np.ndarray) -> float:
    """Cosine from which a row is too near a protected one, between 0.82 and 0.97.

    In a narrow task honest rows resemble one another. The limit is the cosine to the nearest
    protected example that 95 % of (up to 1000) background rows stay below, copies left out.
    """
    sample = background[:: max(1, len(background) // 1000)][:1000]
    nearest = (sample @ protected.T).max(axis=1)
    nearest = nearest[nearest < _COPY]
    if len(nearest) < _FEWEST_ROWS:
        return _COSINE
    return min(_COSINE_MOST, max(_COSINE, float(np.quantile(nearest, 0.95))))
