"""Languages of prompts and answers, told by two witnesses.

lingua names a language from letter n-grams; on short or technical text it is often wrong (of 40
English rows that it took for another language in public instruction sets, 33 were English). So a
language other than the main one is believed only when the commonest words say so too (wordfreq):
the text must hold few of the main language's, and enough of that language's.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import Any

from residency.data.checks.figures import (
    EXAMPLES,
    Figure,
    Sighting,
    View,
    looks_like_code,
    shorten_text,
)
from residency.overlap.distinct_text import user_parts
from residency.text.words import split_words

LANGUAGE_SAMPLE = 1000
LANGUAGE_WINDOW = 300
"""Languages are told from the first 300 characters of prose of at most 1000 rows."""
LANGUAGE_LETTERS = 40
"""Shorter texts are not judged: too little to tell a language by. A character of a script without
spaces counts as three."""
ASKED_FIRST = 200
"""Texts from which the main language is told."""
CLEAR_LANGUAGE = 0.2
"""Distance that lingua must see between the likeliest language and the next."""
RARE_LANGUAGE = 0.05
COMMON_WORDS = 1000
MAIN_SHARE = 0.3
"""Share of the main language's commonest words from which a text is in the main language."""
PLAIN_WORDS = 6
"""Different ones of them, in a text that lingua need not be asked of."""
OWN_SHARE = 0.2
"""Share of its commonest words that a text in another language must hold at least."""
_NO_PROSE = re.compile(r"```.*?(?:```|$)|`[^`\n]*`|https?://\S+|\S+@\S+|<[^>\n]{1,80}>", re.DOTALL)
_DENSE = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_KIN = {"nn": "nb", "bs": "sh", "hr": "sh", "sr": "sh", "tl": "fil"}
"""Languages that share a word list in wordfreq."""


def check_languages(views: list[View], *, partial: bool) -> list[Figure]:
    """Languages of prompts and answers, and answers in another language than their prompt."""
    partial = partial or len(views) > LANGUAGE_SAMPLE
    views = views[:: -(-len(views) // LANGUAGE_SAMPLE)]
    prompts = [extract_prose(user_parts(v.example)[1] or v.prompt) for v in views]
    answers = [extract_prose(v.answer) for v in views]
    languages_told = tell_languages([*prompts, *answers])
    pairs = list(
        zip(views, languages_told[: len(views)], languages_told[len(views) :], strict=True)
    )
    counts = Counter(b or a for _, a, b in pairs if a or b)
    total = sum(counts.values())
    main = counts.most_common(1)[0][0] if counts else ""
    rare = [v for v, a, b in pairs if (b or a) not in ("", main)]
    minor = 0 < len(rare) < RARE_LANGUAGE * max(1, total)
    mixed = [(v, a, b) for v, a, b in pairs if a and b and a != b]
    return [
        Figure(
            "languages",
            "rows in another language than " + (main or "the main one (too little text to tell)"),
            len(rare),
            total,
            "warn" if minor else "info",
            examples=tuple(
                Sighting(v.example.source, shorten_text(v.answer)) for v in rare[:EXAMPLES]
            ),
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
                Sighting(v.example.source, shorten_text(f"{a} → {b}: {v.answer}"))
                for v, a, b in mixed[:EXAMPLES]
            ),
            action="right for translation; otherwise drop them" if mixed else "",
            sampled=partial,
        ),
    ]


def extract_prose(text: str) -> str:
    """What is left of a text without code, addresses and markup; empty if it is too little."""
    text = " ".join(_NO_PROSE.sub(" ", text[: 4 * LANGUAGE_WINDOW]).split())[:LANGUAGE_WINDOW]
    letters = sum(c.isalpha() for c in text) + 2 * len(_DENSE.findall(text))
    return text if letters >= LANGUAGE_LETTERS and not looks_like_code(text) else ""


def tell_languages(texts: list[str]) -> list[str]:
    """The language of each text, in English; empty where it is not clear."""
    first = _detect_languages(texts)
    counts = Counter(language for language in first if language is not None)
    if not counts:
        return [""] * len(texts)
    main = counts.most_common(1)[0][0]
    return [
        (_is_believed(text, language, main) if language is not None else None) or ""
        for text, language in zip(texts, first, strict=True)
    ]


def _detect_languages(texts: list[str]) -> list[Any]:
    """lingua's language of each text, or None.

    It is asked of a few first. A text that holds many of the commonest words of what most of those are
    in is in that language whatever lingua says (see ``_is_believed``), so it is not asked of such texts.
    """
    detector = _load_detector()
    told: list[Any] = [None] * len(texts)
    places = [n for n, text in enumerate(texts) if text]
    step = -(-len(places) // ASKED_FIRST) or 1
    sample = places[::step]
    counts: Counter[Any] = Counter()

    def ask(numbers: list[int]) -> None:
        languages = detector.detect_languages_in_parallel_of([texts[n] for n in numbers])
        for number, language in zip(numbers, languages, strict=True):
            told[number] = language

    ask(sample)
    counts.update(told[n] for n in sample if told[n] is not None)
    if not counts:
        return told
    main = counts.most_common(1)[0][0]
    code = _language_code(main)
    others = set(places) - set(sample)
    for number in others:
        if _is_plainly_in(texts[number], code):
            told[number] = main
    ask([number for number in sorted(others) if told[number] is None])
    return told


def _is_plainly_in(text: str, code: str) -> bool:
    spoken = split_words(text)
    share = _common_share(spoken, code)
    if share is None or share < MAIN_SHARE or not _is_latin(text):
        return False
    return len(_common_words(code).intersection(spoken)) >= PLAIN_WORDS


def _is_latin(text: str) -> bool:
    return len(_LATIN.findall(text)) >= 0.5 * sum(map(str.isalpha, text))


def _is_believed(text: str, language: Any, main: Any) -> str:
    """The name of the language that both witnesses can agree on."""
    if language == main or not _is_latin(text):
        return str(language.name.title())  # other scripts are not mistaken for one another
    spoken = split_words(text)
    ours = _common_share(spoken, _language_code(main))
    if ours is None:
        return str(language.name.title())
    if ours >= MAIN_SHARE:
        return str(main.name.title())
    theirs = _common_share(spoken, _language_code(language))
    if theirs is None:  # no list of its words: believed only where nothing speaks for another
        return str(language.name.title()) if len(set(spoken)) >= 20 and ours < OWN_SHARE / 2 else ""
    return str(language.name.title()) if theirs >= max(OWN_SHARE, 1.5 * ours) else ""


def _common_share(spoken: list[str], code: str) -> float | None:
    common = _common_words(code)
    return sum(word in common for word in spoken) / max(1, len(spoken)) if common else None


def _language_code(language: Any) -> str:
    code = str(language.iso_code_639_1.name).lower()
    return _KIN.get(code, code)


@lru_cache(maxsize=16)
def _common_words(code: str) -> frozenset[str]:
    """The commonest words of a language; empty where wordfreq has no list."""
    from wordfreq import available_languages, top_n_list

    return (
        frozenset(top_n_list(code, COMMON_WORDS)) if code in available_languages() else frozenset()
    )


@lru_cache(maxsize=1)
def _load_detector() -> Any:
    from lingua import LanguageDetectorBuilder

    builder = LanguageDetectorBuilder.from_all_languages().with_low_accuracy_mode()
    return builder.with_minimum_relative_distance(CLEAR_LANGUAGE).build()
