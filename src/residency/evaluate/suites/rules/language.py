"""Rule: the language in which the answer is written."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, ClassVar

from pydantic import Field, field_validator

from residency.evaluate.suites.check_result import (
    Check,
    Item,
    fail_check,
    leave_unscored,
    pass_check,
)
from residency.evaluate.suites.rule import Rule
from residency.nouns.example import Example


class Language(Rule):
    """The language in which the answer is written (lingua)."""

    NAME: ClassVar[str] = "language"
    KIND: ClassVar[str] = "language"

    language: str
    min_chars: int = Field(20, ge=1)

    @field_validator("language")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in {"prompt", "reference"} and value.upper() not in _list_codes():
            raise ValueError(f"{value!r} is not an ISO 639-1 code, 'prompt' or 'reference'")
        return value

    @property
    def needs_reference(self) -> bool:
        return self.language == "reference"

    def check(self, item: Item) -> Iterable[Check]:
        if len(item.text.strip()) < self.min_chars:
            yield leave_unscored(f"shorter than {self.min_chars} characters")
            return
        wanted: str | None = self.language.upper()
        if self.language in {"prompt", "reference"}:
            source = (
                _read_prompt(item.example) if self.language == "prompt" else item.reference or ""
            )
            wanted = detect_language(source) if len(source.strip()) >= self.min_chars else None
        answer_language = detect_language(item.text)
        if wanted is None or answer_language is None:
            yield leave_unscored("the language could not be told")
        elif answer_language == wanted:
            yield pass_check(answer_language.lower())
        else:
            yield fail_check(
                f"written in {answer_language.lower()}, expected {wanted.lower()}",
                item.span(0, len(item.text)),
            )


def _read_prompt(example: Example) -> str:
    last = example.prompt[-1] if example.prompt else None
    return (last.input or last.content) if last else ""


@lru_cache(maxsize=1)
def _list_codes() -> frozenset[str]:
    from lingua import IsoCode639_1

    return frozenset(name for name in dir(IsoCode639_1) if name.isupper() and len(name) == 2)


@lru_cache(maxsize=1)
def _load_lingua() -> Any:
    # Loaded on first use: the language models take a second and some hundred megabytes.
    from lingua import LanguageDetectorBuilder

    return LanguageDetectorBuilder.from_all_languages().with_low_accuracy_mode().build()


@lru_cache(maxsize=4096)
def detect_language(text: str) -> str | None:
    """ISO 639-1 code in capitals of the language that a text is likeliest written in."""
    language = _load_lingua().detect_language_of(text)
    return language.iso_code_639_1.name if language else None
