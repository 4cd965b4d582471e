"""Rules about the answer's text: emptiness, words, exact match, patterns, length, language."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from residency.evaluate.suites.rule import Check, Item, Rule, failed, passed, register, unscored
from residency.nouns.example import Example
from residency.text.answer_fields import normalise
from residency.text.words import words


@register
class NonEmpty(Rule):
    """Something was written."""

    NAME: ClassVar[str] = "non_empty"
    KIND: ClassVar[str] = "empty"

    def check(self, item: Item) -> Iterable[Check]:
        yield passed() if item.text.strip() else failed("the answer is empty", final=False)


@register
class StopWords(Rule):
    """Words or phrases that must not appear."""

    NAME: ClassVar[str] = "stop_words"
    KIND: ClassVar[str] = "stop_words"

    words: tuple[str, ...] = Field(min_length=1)
    whole_words: bool = True
    case: bool = False

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        body = "|".join(_literal(w) for w in sorted(self.words, key=len, reverse=True))
        if self.whole_words:
            body = rf"(?<!\w)(?:{body})(?!\w)"
        return re.compile(body, 0 if self.case else re.IGNORECASE)

    def check(self, item: Item) -> Iterable[Check]:
        hits = list(self._pattern.finditer(item.text))
        if not hits:
            yield passed(final=False)
            return
        found = sorted({hit.group().casefold() for hit in hits})
        spans = [item.span(*hit.span(), "stop word") for hit in hits]
        # A hit at the very end may be the beginning of a longer word.
        final = any(hit.end() < len(item.text) for hit in hits) or not self.whole_words
        message = f"says {', '.join(map(repr, found))}"
        yield failed(message, *spans, value=float(len(hits)), final=final)


@register
class Exact(Rule):
    """The answer equals the reference, or one of the accepted answers."""

    NAME: ClassVar[str] = "exact"
    KIND: ClassVar[str] = "wrong"

    mode: Literal["normalised", "raw"] = "normalised"
    answers: tuple[str, ...] = ()

    @property
    def needs_reference(self) -> bool:
        return not self.answers

    def check(self, item: Item) -> Iterable[Check]:
        form = normalise if self.mode == "normalised" else str
        wanted = self.answers or (item.reference or "",)
        text = form(item.text)
        if text in {form(answer) for answer in wanted}:
            yield passed(final=False)
            return
        could_grow = any(form(answer).startswith(text) for answer in wanted)
        yield failed(f"expected {wanted[0]!r}", item.span(0, len(item.text)), final=not could_grow)


@register
class Contains(Rule):
    """Texts that must, or must not, stand in the answer."""

    NAME: ClassVar[str] = "contains"
    KIND: ClassVar[str] = "contains"

    all_of: tuple[str, ...] = Field((), alias="all")
    any_of: tuple[str, ...] = Field((), alias="any")
    none_of: tuple[str, ...] = Field((), alias="none")
    reference: bool = False
    case: bool = False

    @model_validator(mode="after")
    def _something(self) -> Contains:
        if not (self.all_of or self.any_of or self.none_of or self.reference):
            raise ValueError("needs one of the keys 'all', 'any', 'none', 'reference'")
        return self

    @property
    def needs_reference(self) -> bool:
        return self.reference

    def check(self, item: Item) -> Iterable[Check]:
        flags = 0 if self.case else re.IGNORECASE
        unwanted = [
            (text, hit)
            for text in self.none_of
            for hit in re.finditer(_literal(text), item.text, flags)
        ]
        if unwanted:
            spans = [item.span(*hit.span(), "unwanted") for _, hit in unwanted]
            yield failed(f"contains {unwanted[0][0]!r}", *spans)
            return

        def has(text: str) -> bool:
            return re.search(_literal(text), item.text, flags) is not None

        wanted = [*self.all_of, *([item.reference or ""] if self.reference else [])]
        missing = [text for text in wanted if not has(text)]
        if missing:
            yield failed(f"does not contain {', '.join(map(repr, missing))}", final=False)
        elif self.any_of and not any(map(has, self.any_of)):
            yield failed(f"contains none of {list(self.any_of)}", final=False)
        else:
            yield passed(final=not self.none_of)


@register
class Regex(Rule):
    """A pattern (Python's ``re``) that must, or must not, match."""

    NAME: ClassVar[str] = "regex"
    KIND: ClassVar[str] = "format"

    pattern: str
    match: Literal["search", "whole"] = "search"
    forbid: bool = False
    case: bool = True

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return value

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern, 0 if self.case else re.IGNORECASE)

    def check(self, item: Item) -> Iterable[Check]:
        if self.match == "whole":
            found = self._compiled.fullmatch(item.text.strip())
            span = item.span(0, len(item.text))
        else:
            found = self._compiled.search(item.text)
            span = item.span(*found.span()) if found else item.span(0, len(item.text))
        # A match stays one when the text goes on, unless it reaches the end ($, longer words).
        rest = item.text[found.end() :].strip() if found else ""
        stays = self.match == "search" and bool(rest)
        if bool(found) != self.forbid:
            yield passed(final=stays)
            return
        verb = "matches" if self.forbid else "does not match"
        yield failed(f"{verb} {self.pattern!r}", span, final=stays)


@register
class Length(Rule):
    """Lower and upper limits of the answer's length."""

    NAME: ClassVar[str] = "length"
    KIND: ClassVar[str] = "length"

    min: int | None = Field(None, ge=0)
    max: int | None = Field(None, ge=0)
    unit: Literal["words", "chars", "tokens", "lines"] = "words"
    max_ratio: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _something(self) -> Length:
        if self.min is None and self.max is None and self.max_ratio is None:
            raise ValueError("needs one of the keys 'min', 'max', 'max_ratio'")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"'min' ({self.min}) is greater than 'max' ({self.max})")
        if self.max_ratio is not None and self.unit == "tokens":
            raise ValueError("'max_ratio' compares with the reference's text: not in tokens")
        if self.unit == "tokens" and self.field:
            raise ValueError("tokens are counted for the whole answer, not for one field")
        return self

    @property
    def needs_reference(self) -> bool:
        return self.max_ratio is not None

    def _count(self, text: str) -> int:
        if self.unit == "words":
            return len(words(text))
        if self.unit == "lines":
            return sum(bool(line.strip()) for line in text.splitlines())
        return len(text)

    def check(self, item: Item) -> Iterable[Check]:
        if self.unit == "tokens":
            count = len(item.response.token_ids)
            if not count and item.text:
                yield unscored("the number of tokens is not known")
                return
        else:
            count = self._count(item.text)
        top = self.max
        if self.max_ratio is not None:
            limit = int(self.max_ratio * max(self._count(item.reference or ""), 1))
            top = limit if top is None else min(top, limit)
        if top is not None and count > top:
            yield failed(
                f"{count} {self.unit}, at most {top}",
                item.span(0, len(item.text)),
                value=float(count),
            )
        elif self.min is not None and count < self.min:
            yield failed(
                f"{count} {self.unit}, at least {self.min}",
                item.span(0, len(item.text)),
                value=float(count),
                final=False,
            )
        else:
            yield passed(value=float(count), final=top is None)


@register
class Language(Rule):
    """The language in which the answer is written (lingua)."""

    NAME: ClassVar[str] = "language"
    KIND: ClassVar[str] = "language"

    language: str
    min_chars: int = Field(20, ge=1)

    @field_validator("language")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in {"prompt", "reference"} and value.upper() not in _codes():
            raise ValueError(f"{value!r} is not an ISO 639-1 code, 'prompt' or 'reference'")
        return value

    @property
    def needs_reference(self) -> bool:
        return self.language == "reference"

    def check(self, item: Item) -> Iterable[Check]:
        if len(item.text.strip()) < self.min_chars:
            yield unscored(f"shorter than {self.min_chars} characters")
            return
        wanted: str | None = self.language.upper()
        if self.language in {"prompt", "reference"}:
            source = _prompt(item.example) if self.language == "prompt" else item.reference or ""
            wanted = _detect(source) if len(source.strip()) >= self.min_chars else None
        found = _detect(item.text)
        if wanted is None or found is None:
            yield unscored("the language could not be told")
        elif found == wanted:
            yield passed(found.lower())
        else:
            yield failed(
                f"written in {found.lower()}, expected {wanted.lower()}",
                item.span(0, len(item.text)),
            )


def _prompt(example: Example) -> str:
    last = example.prompt[-1] if example.prompt else None
    return (last.input or last.content) if last else ""


def _literal(text: str) -> str:
    """A text as a pattern in which any run of white space matches any other."""
    return r"\s+".join(re.escape(part) for part in text.split())


@lru_cache(maxsize=1)
def _codes() -> frozenset[str]:
    from lingua import IsoCode639_1

    return frozenset(name for name in dir(IsoCode639_1) if name.isupper() and len(name) == 2)


@lru_cache(maxsize=1)
def _lingua() -> Any:
    # Loaded on first use: the language models take a second and some hundred megabytes.
    from lingua import LanguageDetectorBuilder

    return LanguageDetectorBuilder.from_all_languages().with_low_accuracy_mode().build()


@lru_cache(maxsize=4096)
def _detect(text: str) -> str | None:
    found = _lingua().detect_language_of(text)
    return found.iso_code_639_1.name if found else None
