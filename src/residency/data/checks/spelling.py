"""Answers with misspelt words, as far as a list of words can tell."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping

from residency.data.checks.figures import (
    EXAMPLES,
    Figure,
    Sighting,
    View,
    cut_around,
    looks_like_code,
    shorten_text,
)
from residency.text.words import split_words

COMMON_WORD = 1e-5
"""Share of all words from which a word is common: Zipf frequency 4."""
UNKNOWN_SHARE = 0.1
"""Share of unknown words (but always one word) up to which a text is taken to be in the language
of the word list."""
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_NO_PROSE = re.compile(r"```.*?(?:```|$)|`[^`\n]*`", re.DOTALL)


def check_spelling(views: list[View], *, partial: bool, language: str = "en") -> Figure:
    """Answers with words that no one writes but that are one letter from a common word.

    A word is suspect when it is unknown to wordfreq, stands in at most two rows and not in its
    prompt, and one edit makes it a common word (at least once in 100 000 words). Left out by
    their form are names, numbers, parts of addresses and of code, and words with letters outside
    the language's alphabet; texts of which a tenth of the words is unknown are in another language.
    """
    from wordfreq import get_frequency_dict

    frequencies = get_frequency_dict(language)
    rows = Counter(itertools.chain.from_iterable(set(v.words) for v in views))
    known: dict[str, str] = {}
    hits: list[tuple[View, int, str, str]] = []
    for view in views:
        if looks_like_code(view.answer) or not _in_language(view.words, frequencies):
            continue
        prose = _NO_PROSE.sub(lambda code: " " * len(code.group()), view.answer)
        prompt_words: set[str] | None = None
        for word in dict.fromkeys(view.words):
            if (
                not 5 <= len(word) <= 15
                or not word.isalpha()
                or not word.isascii()
                or rows[word] > 2
            ):
                continue
            if word not in known:
                known[word] = "" if word in frequencies else _nearest_word(word, frequencies)
            if not known[word]:
                continue
            prompt_words = (
                prompt_words if prompt_words is not None else set(split_words(view.prompt))
            )
            at = _standing_alone(word, prose)
            if word not in prompt_words and at >= 0:
                hits.append((view, at, word, known[word]))
                break
    return Figure(
        "misspellings",
        "answers with a misspelt word (suspects)",
        len(hits),
        len(views),
        "warn" if len(hits) > 0.01 * len(views) else "info",
        examples=tuple(
            Sighting(v.example.source, f"{w} ({near}?): {_find_context(v.answer, at, w)}")
            for v, at, w, near in hits[:EXAMPLES]
        ),
        action="correct them: the model learns the spelling too" if hits else "",
        sampled=partial,
    )


def _in_language(words: list[str], known: Mapping[str, float]) -> bool:
    plain = [word for word in words if word.isalpha()]
    return sum(word not in known for word in plain) <= max(1, UNKNOWN_SHARE * len(plain))


def _standing_alone(word: str, text: str) -> int:
    """Where the word stands in small letters and touches no digit, sign of an address or of code."""
    match = re.search(rf"(?<![\w@./:\\$#'’-]){word}(?![\w@/:\\(\[='’-]|\.\w)", text)
    return match.start() if match else -1


def _find_context(text: str, at: int, word: str) -> str:
    return shorten_text(cut_around(text, at, at + len(word)), 90)


def _nearest_word(word: str, known: Mapping[str, float]) -> str:
    """A common word one edit away, or nothing (Norvig's edits1)."""
    cuts = [(word[:n], word[n:]) for n in range(len(word) + 1)]
    near = itertools.chain(
        (a + b[1:] for a, b in cuts if b),
        (a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1),
        (a + c + b[1:] for a, b in cuts if b for c in _ALPHABET),
        (a + c + b for a, b in cuts for c in _ALPHABET),
    )
    return next((n for n in near if n != word and known.get(n, 0.0) >= COMMON_WORD), "")
