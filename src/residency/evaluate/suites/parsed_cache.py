"""Answers parsed once, for rules that compare many of them."""

from __future__ import annotations

from residency.text.answer_fields import Field, Parse, Parsed, normalise_answer, parse_answer


class ParsedCache:
    """Answers parsed once, for rules that compare many of them."""

    def __init__(self, parse: Parse) -> None:
        self._parse: Parse = parse
        self._seen: dict[str, Parsed] = {}

    def __call__(self, text: str) -> Parsed:
        if text not in self._seen:
            self._seen[text] = parse_answer(text, self._parse)
        return self._seen[text]


def compare_form(field: Field) -> str:
    """What two fields that mean the same have in common."""
    return field.canonical or normalise_answer(field.value)
