"""Sentences of an answer that its source does not carry: invented ones, and ones that deny it.

By words alone: a sentence is invented where half of its words of content stand nowhere in the source,
and denies it where the source has a sentence of much the same words of which the other is denied.
What is false in the source's words is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from residency.nouns.finding import Span
from residency.text.function_words import FUNCTION_WORDS, PRONOUNS_AND_AUXILIARIES
from residency.text.negation import find_flipped, is_negator
from residency.text.number_words import find_number_words
from residency.text.words import split_words

NEW_SHARE = 0.5
"""Share of a sentence's words of content from which it is invented."""
FEWEST_WORDS = 3
"""Words of content below which nothing is said of a sentence; new ones below which it is not invented."""
SAME_SHARE = 0.6
"""Share of a sentence's words that a sentence of the source must hold to speak of the same."""
_MOST_SENTENCES = 500
_EMPTY = FUNCTION_WORDS | PRONOUNS_AND_AUXILIARIES
_SENTENCE = re.compile(r"[^.!?。！？\n]+(?:[.!?](?!\s|\Z)[^.!?。！？\n]*)*[.!?。！？]*")
_ENDINGS = ("ing", "edly", "ed", "es", "ly", "ers", "er", "ions", "ion", "s", "al", "ment")


def find_unsupported(text: str, prompt: str, reference: str) -> Iterator[Span]:
    """Sentences of ``text`` that prompt and reference do not carry.

    Nothing is said where the reference itself brings in new sentences, or denies the prompt;
    without a reference, where the answer as a whole is not made of the prompt's words (a
    translation, a label with its reasons).
    """
    source = f"{prompt}\n{reference}"
    sentences = list(_list_sentences(text))
    reference_sentences = list(_list_sentences(reference))
    judged = [_is_new(words, prompt) for _, _, words in (reference_sentences or sentences)]
    may_invent = any(is_new is False for is_new in judged) and not (
        any(judged) if reference_sentences else 2 * sum(map(bool, judged)) > len(judged)
    )
    may_deny = not any(
        _find_denied(reference[a:b], words, prompt) for a, b, words in reference_sentences
    )
    for start, end, words in sentences:
        if may_invent and _is_new(words, source):
            yield Span(start, end, "half of this sentence's words stand nowhere in the source")
        elif may_deny and (other := _find_denied(text[start:end], words, source)):
            yield Span(start, end, f"denies, or is denied by, the source: {other.strip()[:120]!r}")


def _is_new(words: frozenset[str], source: str) -> bool | None:
    """Whether a sentence is made of other words; None where it has too few."""
    if len(words) < FEWEST_WORDS:
        return None
    return len(words - _find_stems(source)) >= max(FEWEST_WORDS, NEW_SHARE * len(words))


def _find_denied(sentence: str, words: frozenset[str], source: str) -> str:
    """The sentence of the source that says the opposite in much the same words; else nothing."""
    if len(words) < FEWEST_WORDS:
        return ""
    best, share = "", 0.0
    for start, end, theirs in _list_source(source):
        common = len(words & theirs) / len(words)
        if common > share:
            best, share = source[start:end], common
    if share < SAME_SHARE or _count_negators(sentence) % 2 == _count_negators(best) % 2:
        return ""
    flipped = [word for word in find_flipped(best, sentence) if _find_stem(word) in words]
    return best if flipped else ""


def _list_sentences(text: str) -> Iterator[tuple[int, int, frozenset[str]]]:
    """Places of the sentences and the stems of their words of content."""
    for number, match in enumerate(_SENTENCE.finditer(text)):
        if number == _MOST_SENTENCES:
            return
        words = (word for word in split_words(match[0]) if _has_content(word))
        yield *match.span(), frozenset(map(_find_stem, words))


@lru_cache(maxsize=64)
def _list_source(source: str) -> list[tuple[int, int, frozenset[str]]]:
    return [sentence for sentence in _list_sentences(source) if len(sentence[2]) >= FEWEST_WORDS]


@lru_cache(maxsize=64)
def _find_stems(source: str) -> frozenset[str]:
    return frozenset(map(_find_stem, split_words(source)))


def _has_content(word: str) -> bool:
    has_meaning = len(word) > 2 - (not word.isascii()) and word not in _EMPTY
    return has_meaning and not is_negator(word) and not find_number_words(word)


def _find_stem(word: str) -> str:
    """A word without its ending, at most seven letters: inflected forms fall together."""
    word = word.removesuffix("'s")
    ending = next((e for e in _ENDINGS if word.endswith(e) and len(word) - len(e) >= 3), "")
    return word.removesuffix(ending)[:7]


def _count_negators(text: str) -> int:
    return sum(map(is_negator, split_words(text)))
