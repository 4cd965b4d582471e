"""Misspelt words: rare words one or two edits away from a frequent one.

Word frequencies come from wordfreq (Zipf scale: log10 of occurrences per billion words).
Words of the prompt and of the training data, code, links, numbers and capitalised names are
never misspelt, but for a slip copied from the prompt that the reference corrects. The check knows
English alone; an item whose task or answer is in another language is unscored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from wordfreq import get_frequency_dict, zipf_frequency

from residency.diagnose.detectors.base import Context, Item, make_finding
from residency.nouns.finding import Finding, Span
from residency.text.words import split_words

NAME, VERSION = "misspelling", "7"
_INSIDE = re.compile(r"(?<=[^\W\d_] )[^\W\d_]+|(?<=[,;)] )[^\W\d_]+")
_TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_UNKNOWN, _FREQUENT = 1.5, 3.0
_EVERYDAY = 3.0
_LANGUAGES = ("fr", "de", "es", "it", "pt", "nl")
_OTHER_LANGUAGES = (
    *_LANGUAGES,
    *("ca", "cs", "da", "fi", "fil", "hu", "id", "is", "lt", "lv", "ms", "nb", "pl", "ro", "sh"),
    *("sk", "sl", "sv", "tr", "vi"),
)
_SURE_SHARE = 0.8
_ENGLISH_SHARE = 0.6
_SOME_SHARE = 0.45
_FEWEST_WORDS = 5
_LONGEST = 40
"""Letters of the longest token that can be a word; a longer one is noise, and takes minutes."""
_STEM = 2.2
_SUFFIXES = (
    "s",
    "es",
    "d",
    "ed",
    "ing",
    "r",
    "er",
    "ers",
    "or",
    "ors",
    "ly",
    "ness",
    "less",
    "able",
    "ment",
    "ments",
    "ism",
    "ist",
    "ists",
    "ity",
    "ish",
    "en",
    "wise",
    "like",
    "'s",
)
_PREFIXES = (
    "un",
    "re",
    "non",
    "pre",
    "over",
    "under",
    "out",
    "mis",
    "anti",
    "co",
    "de",
    "dis",
    "sub",
    "super",
    "multi",
    "inter",
    "micro",
    "nano",
    "pico",
    "up",
    "en",
)


def detect_misspelling(items: Sequence[Item], context: Context) -> list[Finding]:
    """One finding an item; value is the number of misspelt words."""
    return [_judge_words(item, context) for item in items]


def _judge_words(item: Item, context: Context) -> Finding:
    if not is_english(f"{item.prompt} {item.reference}"):
        return make_finding(NAME, VERSION, item, "unscored", message="the task is not in English")
    if not is_english(item.prose, fewest=_FEWEST_WORDS):
        return make_finding(NAME, VERSION, item, "unscored", message="the answer is not in English")
    spans = []
    for start, end, token in _iterate_checked(item):
        lower = token.lower().replace("’", "'")
        if lower in context.known_words:
            continue
        if lower in item.prompt_words:
            better = _find_slip(lower, item)
        else:
            better = find_correction(lower, edits=1 if token[0].isupper() else 2)
        if better is not None and better != lower:
            spans.append(Span(start, end, f"{token} → {better}?"))
    failed = len(spans) >= context.config.misspelling_words
    total = max(1, len(split_words(item.response.text)))
    return make_finding(
        NAME,
        VERSION,
        item,
        "fail" if failed else "pass",
        severity=0.2 + 3 * len(spans) / total,
        spans=spans,
        message=", ".join(span.note for span in spans[:5]),
        value=float(len(spans)),
    )


def _find_slip(word: str, item: Item) -> str | None:
    """The reference's word for which the prompt, and the answer after it, wrote ``word``."""
    reference = split_words(item.reference)
    if word in reference or zipf_frequency(word, "en") >= _UNKNOWN:
        return None
    # The shortest slip that tells two words apart: of five letters one may be wrong.
    near = (known for known in reference if len(known) >= 5 and edit_distance(word, known, 1) == 1)
    return next(near, None)


def _iterate_checked(item: Item) -> Iterator[tuple[int, int, str]]:
    text = item.prose
    for match in _TOKEN.finditer(text):
        token = match[0]
        before = text[match.start() - 1] if match.start() else " "
        after = text[match.end()] if match.end() < len(text) else " "
        next_after = text[match.end() + 1 : match.end() + 2]
        in_code = before in "_@#\\$<." or after in "_(=[" or (after == "." and next_after.isalnum())
        if in_code or before.isdigit() or after.isdigit():
            continue
        if not token.isascii() or not (
            4 <= len(token) <= _LONGEST or token.lower() in _load_common()
        ):
            continue
        if token.isupper() and len(token) > 1 and _is_line_of_capitals(text, match.start()):
            yield match.start(), match.end(), token.lower()
            continue
        # Capitalised inside a sentence: a name. At its start it may be any word.
        if token[1:] != token[1:].lower():
            continue
        if token[0].isupper() and not _starts_sentence(text, match.start()):
            continue
        yield match.start(), match.end(), token


def _is_line_of_capitals(text: str, position: int) -> bool:
    """Whether all words of a line are in capitals: then they are words, and no abbreviations."""
    start, end = text.rfind("\n", 0, position) + 1, text.find("\n", position)
    words = _TOKEN.findall(text[start : end if end >= 0 else len(text)][:2000])
    return len(words) >= _FEWEST_WORDS and all(word.isupper() for word in words)


def _starts_sentence(text: str, start: int) -> bool:
    before = text[:start].rstrip(" \t\"'“‘(*->#")
    return not before or before[-1] in ".!?:\n"


@lru_cache(maxsize=4096)
def is_english(text: str, *, fewest: int = 1) -> bool:
    """Whether a text is in the one language whose words the check knows.

    Most of its words are frequent in English; or many are, and in no other language more. Texts of
    fewer words than ``fewest`` are taken for English.
    """
    # Names belong to no language: capitalised words within a sentence.
    plain = _INSIDE.sub(lambda match: " " if match[0][0].isupper() else match[0], text)
    words = [word for word in split_words(plain) if word.isalpha()]
    if len(words) < fewest or not words:
        return True
    share = _frequent_share(words, "en")
    if share >= _ENGLISH_SHARE:
        return not _is_better_elsewhere(words, share) if share < _SURE_SHARE else True
    return share >= _SOME_SHARE and not _is_better_elsewhere(words, share)


def _frequent_share(words: Sequence[str], language: str) -> float:
    frequent = (zipf_frequency(w, language, wordlist="small") >= _FREQUENT for w in words)
    return sum(frequent) / len(words)


def _is_better_elsewhere(words: Sequence[str], share: float) -> bool:
    return any(_frequent_share(words, language) > share for language in _OTHER_LANGUAGES)


@lru_cache(maxsize=65536)
def find_correction(word: str, edits: int = 2) -> str | None:
    """The frequent word that a misspelt lower-case word stands for, or None if it looks right.

    ``edits``: the most that are looked for; 1 where the word may well be a name.
    """
    if word in _load_common():
        return _load_common()[word]
    if zipf_frequency(word, "en") >= _UNKNOWN or _is_compound(word) or _is_foreign(word):
        return None
    return _find_nearest(word, edits)


def _is_compound(word: str) -> bool:
    """Whether it is a known word with an ending or prefix, or two known words in one."""
    if "'" in word:
        return all(zipf_frequency(part, "en") >= _UNKNOWN for part in word.split("'") if part)
    stems = [word[: -len(end)] for end in _SUFFIXES if word.endswith(end)]
    stems += [word[: -len(end)] + "e" for end in ("ing", "ed", "able") if word.endswith(end)]
    stems += [word[: -len(end)] + "y" for end in ("ies", "ied", "iness") if word.endswith(end)]
    stems += [word[len(start) :] for start in _PREFIXES if word.startswith(start)]
    if any(len(stem) >= 4 and zipf_frequency(stem, "en") >= _STEM for stem in stems):
        return True
    return any(
        zipf_frequency(word[:cut], "en") >= 3.5 and zipf_frequency(word[cut:], "en") >= 3.5
        for cut in range(4, len(word) - 3)
    )


@lru_cache(maxsize=1)
def _load_common() -> dict[str, str]:
    """Misspellings so frequent among people that word lists hold them as words."""
    text = resources.files("residency.diagnose.detectors").joinpath("misspellings.txt")
    lines = text.read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines if line)


def _is_foreign(word: str) -> bool:
    """Whether it is an everyday word of another language."""
    return any(
        zipf_frequency(word, language, wordlist="small") >= _EVERYDAY for language in _LANGUAGES
    )


@lru_cache(maxsize=1)
def _load_vocabulary() -> tuple[list[str], np.ndarray, np.ndarray]:
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


def _find_nearest(word: str, edits: int) -> str | None:
    """The nearest frequent word, the most frequent of equals, or None.

    Four letters: two neighbours swapped. Five or six: one edit. From seven on: two edits
    with the same first letter.
    """
    if not word.isalpha():
        return None
    entries, counts, lengths = _load_vocabulary()
    allowed = edits if len(word) >= 7 else 1
    # An edit changes the letter counts by at most 2, so most words need no closer look.
    apart: Any = np.abs(counts - _letter_counts([word])[0]).sum(axis=1)
    most = 0 if len(word) <= 4 else 2 * allowed
    close = np.flatnonzero((apart <= most) & (np.abs(lengths - len(word)) <= allowed))
    best: tuple[int, int] | None = None
    for index in close.tolist():
        distance = edit_distance(word, entries[index], allowed)
        if distance > 1 and word[0] != entries[index][0]:
            continue
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
