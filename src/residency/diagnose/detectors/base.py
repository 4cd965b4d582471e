"""What a detector sees, and how it answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from residency.config.diagnose import DiagnoseConfig
from residency.interfaces import Embedder
from residency.nouns.example import Example
from residency.nouns.finding import Finding, Span, Status
from residency.nouns.response import Response
from residency.text.answer_fields import Field, find_fields
from residency.text.words import split_words

# Bounded repeats: a run of ten thousand letters must not take seconds.
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_LINK = re.compile(
    r"(?:https?://|www\.)\S+|[\w.+-]{1,64}@[\w-]{1,64}\.[\w.]{1,64}|(?:[\w.-]{0,64}/){2,}[\w.-]{0,64}"
)


@dataclass(frozen=True)
class Item:
    """One response and the example that it answers."""

    example: Example
    response: Response

    @cached_property
    def prompt(self) -> str:
        """The prompt's messages as text."""
        return self.example.prompt_text

    @cached_property
    def prompt_words(self) -> frozenset[str]:
        """Lower-cased words of the prompt."""
        return frozenset(split_words(self.prompt))

    @cached_property
    def reference(self) -> str:
        """The reference answer, or an empty text."""
        return self.example.reference or ""

    @cached_property
    def reference_fields(self) -> dict[str, Field]:
        """``key: value`` lines of the reference."""
        return find_fields(self.reference)

    @cached_property
    def response_fields(self) -> dict[str, Field]:
        """``key: value`` lines of the response."""
        return find_fields(self.response.text)

    @cached_property
    def prose(self) -> str:
        """The response with code and links blanked out, offsets unchanged."""
        return blank_out(_LINK, blank_out(_CODE, self.response.text))


@dataclass(frozen=True)
class Context:
    """What all items share."""

    known_words: frozenset[str]
    embedder: Embedder
    config: DiagnoseConfig
    max_new_tokens: int
    label_values: Mapping[str, frozenset[str]] = field(default_factory=dict)


Detect = Callable[[Sequence[Item], Context], list[Finding]]


@dataclass(frozen=True)
class Detector:
    """A named, versioned check. Raise ``version`` whenever an answer may change.

    ``run`` gives one finding an item, in any order: pass, fail with its evidence, or unscored.
    ``meaning`` is its kind in a sentence, for people.
    """

    name: str
    version: str
    run: Detect
    meaning: str = ""


def make_finding(
    name: str,
    version: str,
    item: Item,
    status: Status,
    *,
    severity: float = 0.0,
    spans: Sequence[Span] = (),
    message: str = "",
    value: float | None = None,
) -> Finding:
    """A Finding of detector ``name``, whose kind has the same name."""
    return Finding(
        response=item.response.id,
        kind=name,
        status=status,
        detector=name,
        version=version,
        severity=round(min(1.0, severity), 4) if status == "fail" else 0.0,
        spans=tuple(spans),
        message=message,
        value=value,
    )


def blank_out(pattern: re.Pattern[str], text: str) -> str:
    """The text with every match replaced by as many spaces (newlines stay)."""
    return pattern.sub(lambda match: re.sub(r"\S", " ", match[0]), text)
