"""A fixed sample of rows, for figures that cost more than a glance: languages, spelling, diversity.

The sample is the ``SAMPLE`` rows with the smallest content hashes: the same rows whatever their
order, and all of them when there are fewer.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from residency.data.distinct import user_parts
from residency.data.figures import (
    EXAMPLES,
    Figure,
    Sighting,
    View,
    around,
    looks_like_code,
    shorten,
)
from residency.text import ngrams, words

SAMPLE = 5000
LANGUAGE_SAMPLE = 1000
LANGUAGE_WINDOW = 300
"""Languages are told from the first 300 characters of at most 1000 rows."""
LANGUAGE_CHARACTERS = 40
"""Shorter texts are not judged: too little to tell a language by."""
CLEAR_LANGUAGE = 0.2
"""Distance that lingua must see between the likeliest language and the next."""
RARE_LANGUAGE = 0.05
COMMON_WORD = 1e-5
"""Share of all words from which a word is common: Zipf frequency 4."""
_ALPHABET = "abcdefghijklmnopqrstuvwxyzäöüßàâçéèêëîïôùûñáíóúãõåøæ"


class Sample:
    """Keeps the rows with the smallest content hashes.

    Args:
        bar: rows of a lower rank are not kept: they have no place in the sample that this one
            will be merged into.
    """

    def __init__(self, size: int = SAMPLE, bar: int | None = None) -> None:
        self._size, self._heap, self._bar = size, list[tuple[int, int, View]](), bar
        self.seen = 0

    @property
    def bar(self) -> int | None:
        """The rank that a row must be above; None while there is room."""
        return self._bar if len(self._heap) < self._size else self._heap[0][0]

    def add(self, view: View) -> None:
        """One more row."""
        self.seen += 1
        self._offer(-int(view.example.id[-16:], 16), view)

    def _offer(self, rank: int, view: View) -> None:
        if self._bar is not None and rank <= self._bar:
            return
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, (rank, view.number, view))
        elif rank > self._heap[0][0]:
            heapq.heapreplace(self._heap, (rank, view.number, view))

    def merge(self, later: Sample, offset: int) -> None:
        """Add the sample of the rows after these."""
        self.seen += later.seen
        for rank, number, view in sorted(later._heap, key=lambda item: item[1]):
            self._offer(rank, replace(view, number=number + offset))

    @property
    def views(self) -> list[View]:
        """The kept rows, in the order in which they were added."""
        return [v for _, _, v in sorted(self._heap, key=lambda item: item[1])]

    @property
    def partial(self) -> bool:
        """Whether rows were left out."""
        return self.seen > len(self._heap)


def diversity(views: list[View], *, partial: bool) -> Figure:
    """Distinct words and n-grams of the answers: distinct-n = distinct / total (Li et al. 2016)."""
    counts: dict[int, tuple[int, int]] = {}
    for n in (1, 2, 3):
        runs = Counter(itertools.chain.from_iterable(ngrams(v.words, n) for v in views))
        counts[n] = len(runs), sum(runs.values())
    details = [(f"distinct-{n}", d / t if t else 0.0) for n, (d, t) in counts.items()]
    return Figure(
        "diversity",
        "vocabulary of the answers",
        len(views),
        len(views),
        value=float(counts[1][0]),
        unit="words",
        sampled=partial,
        details=tuple(details),
    )


def languages(views: list[View], *, partial: bool) -> list[Figure]:
    """Languages of prompts and answers, and answers in another language than their prompt."""
    from lingua import LanguageDetectorBuilder

    builder = LanguageDetectorBuilder.from_all_languages().with_low_accuracy_mode()
    detector = builder.with_minimum_relative_distance(CLEAR_LANGUAGE).build()

    def names(texts: list[str]) -> list[str]:
        clear = [t if _is_prose(t) else "" for t in texts]
        found = detector.detect_languages_in_parallel_of(clear)
        return [
            language.name.title() if language and text else ""
            for language, text in zip(found, clear, strict=True)
        ]

    partial = partial or len(views) > LANGUAGE_SAMPLE
    views = views[:: -(-len(views) // LANGUAGE_SAMPLE)]
    asked = names([user_parts(v.example)[1][:LANGUAGE_WINDOW] for v in views])
    given = names([v.answer[:LANGUAGE_WINDOW] for v in views])
    counts = Counter(b or a for a, b in zip(asked, given, strict=True) if a or b)
    total = sum(counts.values())
    main = counts.most_common(1)[0][0] if counts else ""
    rare = [v for v, a, b in zip(views, asked, given, strict=True) if (b or a) not in ("", main)]
    minor = 0 < len(rare) < RARE_LANGUAGE * max(1, total)
    mixed = [(v, a, b) for v, a, b in zip(views, asked, given, strict=True) if a and b and a != b]
    return [
        Figure(
            "languages",
            "languages (main: " + (main or "too little text to tell") + ")",
            len(rare),
            total,
            "warn" if minor else "info",
            examples=tuple(Sighting(v.example.source, shorten(v.answer)) for v in rare[:EXAMPLES]),
            action="a few rows in another language: drop them, or add more of it" if minor else "",
            sampled=partial,
            details=tuple((name, float(n)) for name, n in counts.most_common(8)),
        ),
        Figure(
            "language_mismatch",
            "answers in another language than the prompt",
            len(mixed),
            total,
            "warn" if mixed else "info",
            examples=tuple(
                Sighting(v.example.source, shorten(f"{a} → {b}: {v.answer}"))
                for v, a, b in mixed[:EXAMPLES]
            ),
            action="right for translation; otherwise drop them" if mixed else "",
            sampled=partial,
        ),
    ]


def _is_prose(text: str) -> bool:
    """Long enough, and not code."""
    return len(text) >= LANGUAGE_CHARACTERS and not looks_like_code(text)


def spelling(views: list[View], *, partial: bool, language: str = "en") -> Figure:
    """Answers with words that no one writes but that are one letter from a common word.

    A word is suspect when it is unknown to wordfreq, stands in at most two rows and not in its
    prompt, and one edit makes it a common word (at least once in 100 000 words). Names, numbers and code are left out by their form.
    """
    from wordfreq import get_frequency_dict

    frequencies = get_frequency_dict(language)
    rows = Counter(itertools.chain.from_iterable(set(v.words) for v in views))
    known: dict[str, str] = {}
    hits: list[tuple[View, str, str]] = []
    for view in views:
        if looks_like_code(view.answer):
            continue
        asked: set[str] | None = None
        for word in dict.fromkeys(view.words):
            if not 5 <= len(word) <= 15 or not word.isalpha() or rows[word] > 2:
                continue
            if word not in known:
                known[word] = "" if word in frequencies else _nearest(word, frequencies)
            if not known[word]:
                continue
            asked = asked if asked is not None else set(words(view.prompt))
            at = view.answer.lower().find(word)
            named = at >= 0 and view.answer[at].isupper()
            if word not in asked and not named:
                hits.append((view, word, known[word]))
                break
    return Figure(
        "misspellings",
        "answers with a misspelt word (suspects)",
        len(hits),
        len(views),
        "warn" if len(hits) > 0.01 * len(views) else "info",
        examples=tuple(
            Sighting(v.example.source, f"{w} ({near}?): {_context(v.answer, w)}")
            for v, w, near in hits[:EXAMPLES]
        ),
        action="correct them: the model learns the spelling too" if hits else "",
        sampled=partial,
    )


def _context(text: str, word: str) -> str:
    at = max(0, text.lower().find(word))
    return shorten(around(text, at, at + len(word)), 90)


def _nearest(word: str, known: Mapping[str, float]) -> str:
    """A common word one edit away, or nothing (Norvig's edits1)."""
    cuts = [(word[:n], word[n:]) for n in range(len(word) + 1)]
    near = itertools.chain(
        (a + b[1:] for a, b in cuts if b),
        (a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1),
        (a + c + b[1:] for a, b in cuts if b for c in _ALPHABET),
        (a + c + b for a, b in cuts for c in _ALPHABET),
    )
    return next((n for n in near if n != word and known.get(n, 0.0) >= COMMON_WORD), "")
