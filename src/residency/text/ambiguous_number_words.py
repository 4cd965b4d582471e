"""Number words that mean something else too: ``null``, ``elf``, ``once``, and *one* as a pronoun.

They are numbers where the language of the conversation is known to be theirs; elsewhere an answer
of such a word is left open.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from residency.text.foreign_number_words import join_words

_LANGUAGES: dict[str, str] = {
    # German and Dutch, beside English words and names
    "null": "DE", "elf": "DE NL", "acht": "DE NL", "nul": "NL", "zes": "NL", "tien": "NL",
    # French
    "un": "FR ES IT", "une": "FR", "dix": "FR", "neuf": "FR", "sept": "FR", "cent": "FR",
    "seize": "FR", "mille": "FR IT", "onze": "FR PT", "vingt": "FR",
    # Spanish and Portuguese
    "uno": "ES IT", "una": "ES IT", "um": "PT", "uma": "PT", "once": "ES", "dos": "ES",
    "tres": "ES PT", "mil": "ES PT", "cien": "ES", "cem": "PT", "dez": "PT", "sete": "PT",
    "doce": "ES", "nove": "PT IT",
    # Italian
    "due": "IT", "sei": "IT", "otto": "IT", "venti": "IT", "trenta": "IT", "cento": "IT PT",
    # articles
    "ein": "DE", "eine": "DE", "een": "NL",
}  # fmt: skip
"""Joined word → languages in which it is a number."""
_NAMES = {"DE": "German", "NL": "Dutch", "FR": "French", "ES": "Spanish"}
_NAMES |= {"PT": "Portuguese", "IT": "Italian"}
_PRONOUN_BEFORE = re.compile(
    r"\b(?:no|the|this|that|any|every|each|which|some|another|my|your|a|good|right|wrong|first|last)"
    r"\s\Z",
    re.IGNORECASE,
)
_PRONOUN_BEHIND = re.compile(
    r"\s(?:of|who|that|which|should|can|could|may|must|might|would|needs?|has\sto|another|day)\b",
    re.IGNORECASE,
)


def explain_other_meaning(
    text: str, start: int, end: int, detect_language: Callable[[], str | None]
) -> str:
    """Why the number word at ``start:end`` may be none; empty where it is one.

    Args:
        detect_language: ISO 639-1 code of the conversation's language in capitals, or None; called
            only where the word needs it.
    """
    word = join_words(text[start:end])
    if word == "one":
        pronoun = _PRONOUN_BEFORE.search(text[:start]) or _PRONOUN_BEHIND.match(text, end)
        return "“one” may be a pronoun here" if pronoun else ""
    languages = _LANGUAGES.get(word, "").split()
    if not languages or detect_language() in languages:
        return ""
    names = " or ".join(_NAMES[language] for language in languages)
    return f"“{text[start:end]}” is a number in {names}, and that the question is so is not known"
