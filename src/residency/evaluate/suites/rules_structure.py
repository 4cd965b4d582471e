"""Rules about structured answers: fields, JSON Schema, choices, numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any, ClassVar, Literal

import jsonschema
from pydantic import Field, field_validator, model_validator

from residency.evaluate.suites.rule import Check, Item, Rule, failed, passed, register, unscored
from residency.nouns.example import Example
from residency.text.answer_fields import Parsed, check_form, normalise, parse_answer

FORMAT = "format"


@register
class Fields(Rule):
    """Each field of a structured answer equals the reference's; and the form is kept."""

    NAME: ClassVar[str] = "fields"
    KIND: ClassVar[str] = "wrong"

    fields: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    order: bool = True
    extra: bool = False

    @model_validator(mode="after")
    def _whole_answer(self) -> Fields:
        if self.field:
            raise ValueError("'field' does not go with this rule; name the fields in 'fields'")
        stray = [name for name in self.free if self.fields and name not in self.fields]
        if stray:
            raise ValueError(f"'free' names {stray[0]!r}, which is not in 'fields'")
        return self

    @property
    def default_kind(self) -> str:
        return self.kind or self.KIND

    @property
    def needs_reference(self) -> bool:
        return not self.fields

    def expected(self, example: Example) -> tuple[str, ...]:
        """Names of the fields that the answer must have, in order."""
        if self.fields:
            return self.fields
        return tuple(parse_answer(example.reference or "", self.parse).fields)

    def compared(self, example: Example) -> tuple[str, ...]:
        """Names of the fields that are compared with the reference."""
        return tuple(name for name in self.expected(example) if name not in self.free)

    def kinds(self, example: Example) -> tuple[str, ...]:
        return (FORMAT, *(f"{self.default_kind}:{name}" for name in self.compared(example)))

    def check(self, item: Item) -> Iterable[Check]:
        answer = parse_answer(item.text, self.parse)
        yield self._form(item, answer)
        reference = parse_answer(item.reference or "", self.parse)
        for name in self.compared(item.example):
            yield self._field(item, name, answer, reference)

    def _form(self, item: Item, answer: Parsed) -> Check:
        problems = check_form(
            answer, self.expected(item.example), order=self.order, extra=self.extra
        )
        if not problems:
            # Going on, a cut answer could still add a line that does not belong there.
            return Check("pass", kind=FORMAT, final=False)
        spans = [
            item.span(p.span.start, p.span.end, p.span.note) for p in problems if p.span is not None
        ]
        final = any(problem.final for problem in problems)
        message = "; ".join(problem.message for problem in problems)
        return failed(message, *spans, kind=FORMAT, final=final)

    def _field(self, item: Item, name: str, answer: Parsed, reference: Parsed) -> Check:
        kind = f"{self.default_kind}:{name}"
        wanted = reference.fields.get(name.casefold())
        found = answer.fields.get(name.casefold())
        if wanted is None:
            return unscored(f"the reference has no field {name!r}", kind=kind)
        if found is None:
            return unscored("the field is not in the answer (see format)", kind=kind)
        final = answer.last != name.casefold()
        if normalise(found.value) == normalise(wanted.value):
            return Check("pass", kind=kind, final=final)
        span = item.span(found.start, found.end, name)
        message = f"{name}: {found.value!r}, expected {wanted.value!r}"
        return failed(message, span, kind=kind, final=final)


@register
class JsonSchema(Rule):
    """The answer is JSON and valid against a JSON Schema (draft 2020-12)."""

    NAME: ClassVar[str] = "json_schema"
    KIND: ClassVar[str] = FORMAT

    json_schema_: dict[str, Any] = Field(alias="schema")

    @field_validator("json_schema_")
    @classmethod
    def _valid(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            jsonschema.Draft202012Validator.check_schema(value)
        except jsonschema.SchemaError as error:
            raise ValueError(f"not a JSON Schema: {error.message}") from None
        return value

    @cached_property
    def _validator(self) -> Any:
        return jsonschema.Draft202012Validator(self.json_schema_)

    def check(self, item: Item) -> Iterable[Check]:
        whole = item.span(0, len(item.text))
        try:
            value = json.loads(item.text)
        except (json.JSONDecodeError, RecursionError) as error:
            yield failed(f"not JSON: {error}", whole, final=False)
            return
        errors = sorted(self._validator.iter_errors(value), key=lambda e: list(map(str, e.path)))
        if errors:
            parts = [f"{_path(error)}: {error.message}" for error in errors[:3]]
            # Only a number can become another valid value by going on.
            final = isinstance(value, bool) or not isinstance(value, int | float)
            yield failed("; ".join(parts), whole, value=float(len(errors)), final=final)
        else:
            yield passed(final=False)


@register
class Choices(Rule):
    """The answer is one of a fixed set, and (with ``compare``) the reference's."""

    NAME: ClassVar[str] = "choices"
    KIND: ClassVar[str] = "wrong"

    choices: tuple[str, ...] = Field(min_length=2)
    compare: bool = True

    @property
    def _format_kind(self) -> str:
        return f"{FORMAT}:{self.field}" if self.field else FORMAT

    def kinds(self, example: Example) -> tuple[str, ...]:
        return (self._format_kind, self.default_kind) if self.compare else (self._format_kind,)

    def check(self, item: Item) -> Iterable[Check]:
        known = {normalise(choice): choice for choice in self.choices}
        text = normalise(item.text)
        span = item.span(0, len(item.text))
        if text in known:
            yield Check("pass", kind=self._format_kind, final=False)
        else:
            could_grow = any(choice.startswith(text) for choice in known)
            message = f"{item.text.strip()[:80]!r} is none of {list(self.choices)}"
            yield failed(message, span, kind=self._format_kind, final=not could_grow)
        if not self.compare:
            return
        if item.reference is None:
            yield unscored("the example has no reference for this rule")
        elif text not in known:
            yield unscored("the answer is none of the choices (see format)")
        elif text == normalise(item.reference):
            yield passed(final=False)
        else:
            yield failed(f"{known[text]!r}, expected {item.reference.strip()!r}", span, final=False)


_NUMBER = re.compile(
    r"(?<![\w.])[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w])"
)


@register
class Numeric(Rule):
    """A number of the answer is within ``max(abs, rel · |wanted|)`` of the wanted one.

    Thousands may be marked by commas; the decimal mark is a point.
    """

    NAME: ClassVar[str] = "numeric"
    KIND: ClassVar[str] = "wrong"

    value: float | None = None
    abs_: float = Field(0.0, ge=0, alias="abs")
    rel: float = Field(0.0, ge=0)
    which: Literal["last", "first"] = "last"

    @property
    def needs_reference(self) -> bool:
        return self.value is None

    def check(self, item: Item) -> Iterable[Check]:
        wanted = self.value
        if wanted is None:
            place = self._find(item.reference or "")
            if place is None:
                yield unscored("the reference has no number")
                return
            wanted = place[0]
        found = self._find(item.text)
        if found is None:
            span = item.span(0, len(item.text))
            yield failed(f"no number, expected {wanted:g}", span, final=False)
            return
        number, start, end = found
        final = self.which == "first" and end < len(item.text)
        if abs(number - wanted) <= max(self.abs_, self.rel * abs(wanted)):
            yield passed(value=number, final=final)
        else:
            place_found = item.span(start, end, "number")
            message = f"{number:g}, expected {wanted:g}"
            yield failed(message, place_found, value=number, final=final)

    def _find(self, text: str) -> tuple[float, int, int] | None:
        hits = list(_NUMBER.finditer(text))
        if not hits:
            return None
        hit = hits[-1 if self.which == "last" else 0]
        number = float(hit.group().replace(",", "").replace("−", "-"))
        return number, hit.start(), hit.end()


def _path(error: Any) -> str:
    return "/".join(map(str, error.absolute_path)) or "the whole"
