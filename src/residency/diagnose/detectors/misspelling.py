"""Misspelt words: rare words one or two edits away from a frequent one.

Word frequencies come from wordfreq (Zipf scale: log10 of occurrences per billion words).
Words of the prompt and of the training data, code, links, numbers and capitalised names are
never misspelt. The check knows English; an item whose prompt and reference are not English
is unscored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from wordfreq import get_frequency_dict, zipf_frequency

from residency.diagnose.detectors.base import Context, Item, finding
from residency.text import words
from residency.types import Finding, Span

NAME, VERSION = "misspelling", "1"
_TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_UNKNOWN, _FREQUENT = 1.5, 3.0
_HABIT_BELOW, _HABIT_GAP = 3.1, 1.7
_ENGLISH_SHARE = 0.6
_SUFFIXES = ("s", "es", "ed", "ing", "er", "ers", "ly", "ness", "less", "able", "d", "'s", "ish")
_PREFIXES = ("un", "re", "non", "pre", "over", "mis", "anti", "co", "de", "sub", "super", "multi")


def detect(items: Sequence[Item], context: Context) -> list[Finding]:
    """One finding an item; value is the number of misspelt words."""
    return [_judge(item, context) for item in items]


def _judge(item: Item, context: Context) -> Finding:
    if not _english(f"{item.prompt} {item.reference}"):
        return finding(NAME, VERSION, item, "unscored", message="the task is not in English")
    spans = []
    for start, end, token in _checked(item):
        lower = token.lower().replace("’", "'")
        if lower in context.known_words or lower in item.prompt_words:
            continue
        better = correction(lower)
        if better is not None and better != lower:
            spans.append(Span(start, end, f"{token} → {better}?"))
    failed = len(spans) >= context.config.misspelling_words
    total = max(1, len(words(item.response.text)))
    return finding(
        NAME,
        VERSION,
        item,
        "fail" if failed else "pass",
        severity=0.2 + 3 * len(spans) / total,
        spans=spans,
        message=", ".join(span.note for span in spans[:5]),
        value=float(len(spans)),
    )


def _checked(item: Item) -> Iterator[tuple[int, int, str]]:
    text = item.prose
    for match in _TOKEN.finditer(text):
        token = match[0]
        before = text[match.start() - 1] if match.start() else " "
        after = text[match.end()] if match.end() < len(text) else " "
        glued = before.isdigit() or after.isdigit() or before in "_@#" or after == "_"
        if glued or len(token) < 4 or not token.isascii():
            continue
        # Capitalised inside a sentence: a name. At its start it may be any word.
        if token[1:] != token[1:].lower():
            continue
        if token[0].isupper() and not _starts_sentence(text, match.start()):
            continue
        yield match.start(), match.end(), token


def _starts_sentence(text: str, start: int) -> bool:
    before = text[:start].rstrip(" \t\"'“‘(*->#")
    return not before or before[-1] in ".!?:\n"


@lru_cache(maxsize=4096)
def _english(text: str) -> bool:
    found = [word for word in words(text) if word.isalpha()]
    if not found:
        return True
    common = sum(zipf_frequency(word, "en") >= _FREQUENT for word in found)
    return common >= _ENGLISH_SHARE * len(found)


@lru_cache(maxsize=65536)
def correction(word: str) -> str | None:
    """The frequent word that a misspelt lower-case word stands for, or None if it looks right."""
    frequency = zipf_frequency(word, "en")
    if frequency >= _HABIT_BELOW or _compound(word):
        return None
    if frequency >= _UNKNOWN:
        return _habit(word, frequency)
    return _nearest(word)


def _compound(word: str) -> bool:
    """Whether it is a known word with an ending or prefix, or two known words in one."""
    if "'" in word:
        return all(zipf_frequency(part, "en") >= _UNKNOWN for part in word.split("'") if part)
    stems = [word[: -len(end)] for end in _SUFFIXES if word.endswith(end)]
    stems += [word[: -len(end)] + "e" for end in ("ing", "ed", "able") if word.endswith(end)]
    stems += [word[: -len(end)] + "y" for end in ("ies", "ied", "iness") if word.endswith(end)]
    stems += [word[len(start) :] for start in _PREFIXES if word.startswith(start)]
    if any(len(stem) >= 4 and zipf_frequency(stem, "en") >= _FREQUENT for stem in stems):
        return True
    return any(
        zipf_frequency(word[:cut], "en") >= 3.5 and zipf_frequency(word[cut:], "en") >= 3.5
        for cut in range(4, len(word) - 3)
    )


def _habit(word: str, frequency: float) -> str | None:
    """Frequent human misspellings are in word lists too: a doubled or missing double letter,
    a wrong vowel, *ie* for *ei*, against a word about fifty times as frequent."""
    if len(word) < 6:
        return None
    best = max(_habit_edits(word), key=lambda w: zipf_frequency(w, "en"), default=word)
    return best if zipf_frequency(best, "en") >= frequency + _HABIT_GAP else None


def _habit_edits(word: str) -> Iterator[str]:
    for i, letter in enumerate(word):
        if 0 < i < len(word) - 1:
            if letter in "aeiou":
                yield from (
                    word[:i] + vowel + word[i + 1 :] for vowel in "aeiou" if vowel != letter
                )
            elif letter != word[i - 1] and letter != word[i + 1]:
                yield word[:i] + letter + word[i:]
            if letter == word[i + 1]:
                yield word[:i] + word[i + 1 :]
            if {letter, word[i + 1]} == {"i", "e"}:
                yield word[:i] + word[i + 1] + letter + word[i + 2 :]


@lru_cache(maxsize=1)
def _vocabulary() -> tuple[list[str], np.ndarray, np.ndarray]:
    """Frequent words, their letter counts (words, 26), and their lengths, frequent first."""
    floor = 10 ** (_FREQUENT - 9)
    frequent = get_frequency_dict("en").items()
    entries = [w for w, f in frequent if f >= floor and len(w) >= 3 and w.isascii() and w.isalpha()]
    return entries, _letter_counts(entries), np.array([len(w) for w in entries])


def _letter_counts(entries: Sequence[str]) -> np.ndarray:
    counts = np.zeros((len(entries), 26), np.int8)
    for row, word in enumerate(entries):
        for letter in word:
            counts[row, ord(letter) - 97] += 1
    return counts


def _nearest(word: str) -> str | None:
    """The most frequent word within 1 edit, or within 2 for words of seven letters or more."""
    if not word.isalpha():
        return None
    entries, counts, lengths = _vocabulary()
    allowed = 2 if len(word) >= 7 else 1
    # An edit changes the letter counts by at most 2, so most words need no closer look.
    apart: Any = np.abs(counts - _letter_counts([word])[0]).sum(axis=1)
    close = np.flatnonzero((apart <= 2 * allowed) & (np.abs(lengths - len(word)) <= allowed))
    best: tuple[int, int] | None = None
    for index in close.tolist():
        distance = edit_distance(word, entries[index], allowed)
        if distance <= allowed and (best is None or distance < best[0]):
            best = (distance, index)
    return entries[best[1]] if best else None


def edit_distance(a: str, b: str, limit: int) -> int:
    """Optimal string alignment distance (a swap of neighbours is one edit), capped at limit + 1."""
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    before: list[int] = []
    previous = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
        before, previous = previous, row
    return min(previous[-1], limit + 1)
