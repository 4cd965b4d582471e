"""Whether a text is in a language that the default embedder's vectors were measured in.

Two witnesses: the commonest English words (wordfreq), and letter n-grams (lingua) where a text holds
few of them. A text with too few letters to tell, or without a clear language, is taken as known.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from residency.text.words import split_words

KNOWN = frozenset({"en", "de", "fr"})
"""Languages in which texts about different things stay below the default threshold; docs/suites.md
has the figures."""
COMMON_WORDS = 300
OWN_SHARE, CLEAR_SHARE = 0.2, 0.3
"""Shares of the commonest English words from which a text is English if the letters do not say
otherwise, and whatever they say."""
FEWEST_LETTERS = 16
"""Letters below which a text is a name or a number rather than a language."""
CLEAR_LANGUAGE = 0.1
"""Distance that lingua must see between the likeliest language and the next."""


def knows_language(text: str) -> bool:
    """Whether a text in Latin script is in a language that the vectors were measured in, as far as
    can be told."""
    letters = [character for character in text if character.isalpha()]
    if len(letters) < FEWEST_LETTERS:
        return True
    words = [word for word in split_words(text) if len(word) > 1]
    english = sum(word in _common_words() for word in words) / max(1, len(words))
    if english >= CLEAR_SHARE:
        return True
    language = _load_detector().detect_language_of(text)
    if language is None:
        return True
    return english >= OWN_SHARE or str(language.iso_code_639_1.name).lower() in KNOWN


@lru_cache(maxsize=1)
def _common_words() -> frozenset[str]:
    from wordfreq import top_n_list

    return frozenset(top_n_list("en", COMMON_WORDS, wordlist="small"))


@lru_cache(maxsize=1)
def _load_detector() -> Any:
    from lingua import LanguageDetectorBuilder

    builder = LanguageDetectorBuilder.from_all_languages().with_low_accuracy_mode()
    return builder.with_minimum_relative_distance(CLEAR_LANGUAGE).build()
