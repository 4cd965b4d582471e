"""What a rule is: settings checked at load time, and a check that answers with evidence.

An answer that was cut by the token limit is scored only where no continuation could change
the result; everywhere else it is unscored (a cut is not an error of content). A response
that ended in an error is unscored by every rule.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from residency.errors import SuiteError
from residency.interfaces import Embedder
from residency.nouns.content_id import canonical_json
from residency.nouns.example import Example
from residency.nouns.finding import Finding, Span, Status
from residency.nouns.response import Response
from residency.text.answer_fields import Parse, Parsed, parse_answer
from residency.text.words import words

CUT = "cut by the token limit before this could be judged"


@dataclass(frozen=True)
class Item:
    """One response as a rule sees it.

    ``text`` and ``reference`` are the whole texts, or one field's; ``offset`` is where ``text``
    begins in the response. ``missing`` says why there is no text to judge.
    """

    example: Example
    response: Response
    text: str
    reference: str | None
    offset: int = 0
    cut: bool = False
    missing: str = ""

    def span(self, start: int, end: int, note: str = "") -> Span:
        """A span of ``text`` as a span of the response."""
        return Span(self.offset + start, self.offset + end, note)


@dataclass(frozen=True)
class Check:
    """One result. ``final`` is False when a longer answer could still change it."""

    status: Status
    message: str = ""
    spans: tuple[Span, ...] = ()
    value: float | None = None
    kind: str = ""
    final: bool = True


def passed(message: str = "", *, value: float | None = None, final: bool = True) -> Check:
    """A check that passed."""
    return Check("pass", message, value=value, final=final)


def failed(
    message: str, *spans: Span, value: float | None = None, final: bool = True, kind: str = ""
) -> Check:
    """A check that failed, with its reason and evidence."""
    return Check("fail", message, spans, value, kind, final)


def unscored(message: str, *, kind: str = "") -> Check:
    """Nothing to judge by."""
    return Check("unscored", message, kind=kind)


@dataclass(frozen=True)
class Context:
    """What rules may use besides the items: the embedder, if there is one."""

    embedder: Embedder | None = None


class Rule(BaseModel):
    """Settings that every rule takes; a subclass adds its own and ``check``."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, populate_by_name=True
    )

    NAME: ClassVar[str] = ""
    KIND: ClassVar[str] = ""
    VERSION: ClassVar[int] = 1
    NEEDS_REFERENCE: ClassVar[bool] = False

    name: str = ""
    """Its own name; the finding's detector is ``suite:NAME``."""
    kind: str = ""
    """The finding's kind."""
    severity: float = Field(0.5, ge=0, le=1)
    """0 (harmless) to 1 (catastrophic)."""
    tags: tuple[str, ...] = ()
    """Only examples that have one of these tags."""
    examples: tuple[str, ...] = ()
    """Only these example ids."""
    field: str = ""
    """Look at one field of the answer instead of the whole text."""
    parse: Parse = "lines"
    """How fields are read."""
    min_reference_words: int = Field(0, ge=0)
    """Only examples whose reference has at least so many words."""
    max_reference_words: int | None = Field(None, ge=0)
    """Only examples whose reference has at most so many words."""

    @property
    def detector(self) -> str:
        """``suite:`` and the rule's own name."""
        return f"suite:{self.name or self.NAME}"

    @cached_property
    def version(self) -> str:
        """The rule's code version and a hash of the settings that decide its results."""
        scope = {"name", "kind", "severity", "tags", "examples", "folder"}
        settings = canonical_json(self.model_dump(mode="json", exclude=scope))
        return f"{self.VERSION}:{hashlib.sha256(settings.encode()).hexdigest()[:8]}"

    @property
    def default_kind(self) -> str:
        """The kind of a finding whose check names none."""
        if self.kind:
            return self.kind
        return f"{self.KIND}:{self.field}" if self.field else self.KIND

    def kinds(self, example: Example) -> tuple[str, ...]:
        """The kinds that this rule answers for an example (all unscored when there is no text)."""
        return (self.default_kind,)

    @property
    def needs_reference(self) -> bool:
        """Whether the rule can say nothing about an example without a reference."""
        return self.NEEDS_REFERENCE

    def applies(self, example: Example) -> bool:
        """Whether the example is in the rule's scope."""
        if self.examples and example.id not in self.examples:
            return False
        if self.tags and not set(self.tags) & set(example.tags):
            return False
        if self.min_reference_words or self.max_reference_words is not None:
            if example.reference is None:
                return False
            count = len(words(example.reference))
            top = self.max_reference_words
            return count >= self.min_reference_words and (top is None or count <= top)
        return True

    def grade(
        self, pairs: Sequence[tuple[Example, Response]], context: Context
    ) -> Iterator[Finding]:
        """Findings for the responses in scope, in order.

        Rules over groups or batches override ``check_all``; the others only ``check``.
        """
        items = [self.item(example, response) for example, response in pairs]
        live = [i for i, item in enumerate(items) if not item.missing]
        checked = self.check_all([items[i] for i in live], context) if live else []
        results = dict(zip(live, checked, strict=True))
        for i, item in enumerate(items):
            if item.missing:
                checks: Iterable[Check] = (
                    unscored(item.missing, kind=kind) for kind in self.kinds(item.example)
                )
            else:
                checks = results[i]
            for check in checks:
                yield self._finding(item, check)

    def check_all(self, items: Sequence[Item], context: Context) -> list[list[Check]]:
        """Checks of each item, in order."""
        return [list(self.check(item)) for item in items]

    def check(self, item: Item) -> Iterable[Check]:
        """Checks of one item."""
        raise NotImplementedError

    def item(self, example: Example, response: Response) -> Item:
        """The response's text, or the field of it that the rule looks at."""
        reference = example.reference
        if response.finish == "error":
            reason = f"no response: {response.error or 'the generator failed'}"
            return Item(example, response, "", reference, missing=reason)
        cut = response.finish == "length"
        if not self.field:
            return self._checked(Item(example, response, response.text, reference, cut=cut))
        name = self.field.casefold()
        answer = parse_answer(response.text, self.parse)
        wanted = None
        if reference is not None:
            value = parse_answer(reference, self.parse).fields.get(name)
            wanted = value.value if value else None
        found = answer.fields.get(name)
        if found is None:
            why = CUT if cut else f"the answer has no field {self.field!r}"
            return Item(example, response, "", wanted, cut=cut, missing=why)
        inside = cut and answer.last == name
        return self._checked(Item(example, response, found.value, wanted, found.start, cut=inside))

    def _checked(self, item: Item) -> Item:
        if self.needs_reference and item.reference is None:
            what = f"its field {self.field!r}" if self.field else "a reference"
            reason = f"the example has no reference for this rule ({what} is missing)"
            return Item(item.example, item.response, item.text, None, missing=reason)
        return item

    def _finding(self, item: Item, check: Check) -> Finding:
        if item.cut and not check.final:
            check = unscored(CUT, kind=check.kind)
        return Finding(
            response=item.response.id,
            kind=check.kind or self.default_kind,
            status=check.status,
            detector=self.detector,
            version=self.version,
            severity=self.severity if check.status == "fail" else 0.0,
            spans=check.spans,
            message=check.message,
            value=check.value,
        )


class ParsedCache:
    """Answers parsed once, for rules that compare many of them."""

    def __init__(self, parse: Parse) -> None:
        self._parse: Parse = parse
        self._seen: dict[str, Parsed] = {}

    def __call__(self, text: str) -> Parsed:
        if text not in self._seen:
            self._seen[text] = parse_answer(text, self._parse)
        return self._seen[text]


RULES: dict[str, type[Rule]] = {}
"""Rule name → class."""


def register(cls: type[Rule]) -> type[Rule]:
    """Make a rule known by its name."""
    RULES[cls.NAME] = cls
    return cls


def make_rule(raw: Any, *, where: str, **scope: Any) -> Rule:
    """A rule from a parsed table.

    Raises:
        SuiteError: the rule or one of its keys is unknown, or a value is wrong.
    """
    help_page = "docs/suites.md lists every rule and its keys"
    if not isinstance(raw, dict) or not isinstance(raw.get("rule"), str):
        raise SuiteError("a rule needs the key 'rule'", where=where, next_step=help_page)
    name = raw["rule"]
    cls = RULES.get(name)
    if cls is None:
        raise SuiteError(
            f"unknown rule {name!r}{nearest(name, RULES)}",
            where=where,
            next_step=f"known rules: {', '.join(sorted(RULES))}; {help_page}",
        )
    try:
        return cls.model_validate({**{k: v for k, v in raw.items() if k != "rule"}, **scope})
    except ValidationError as error:
        lines = []
        known = [f.alias or key for key, f in cls.model_fields.items()]
        for item in error.errors():
            key = ".".join(str(part) for part in item["loc"])
            if item["type"] == "extra_forbidden":
                lines.append(f"unknown key {key!r}{nearest(key, known)}")
            else:
                message = item["msg"].removeprefix("Value error, ")
                found = f" (found {item.get('input')!r})" if message == item["msg"] else ""
                lines.append(
                    (f"{key}: " if key else "") + message[:1].lower() + message[1:] + found
                )
        raise SuiteError(
            f"rule {name!r}: {'; '.join(lines)}", where=where, next_step=help_page
        ) from None


def nearest(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'X'?)`` or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
