"""Rule: each field of a structured answer equals the reference's; and the form is the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pydantic import model_validator

from residency.evaluate.suites.check_result import Check, Item, fail_check, leave_unscored
from residency.evaluate.suites.compare_form import compare_form
from residency.evaluate.suites.format_kind import FORMAT
from residency.evaluate.suites.rule import Rule
from residency.nouns.example import Example
from residency.text.answer_fields import Parsed, check_form, parse_answer


class Fields(Rule):
    """Each field of a structured answer equals the reference's; and the form is the same."""

    NAME: ClassVar[str] = "fields"
    KIND: ClassVar[str] = "wrong"
    VERSION: ClassVar[int] = 5

    fields: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    order: bool = True
    extra: bool = False

    @model_validator(mode="after")
    def _whole_answer(self) -> Fields:
        if self.field:
            raise ValueError("'field' does not go with this rule; name the fields in 'fields'")
        names = [name.casefold() for name in self.fields]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"'fields' names {twice!r} twice")
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

    def expected_fields(self, example: Example) -> tuple[str, ...]:
        """Names of the fields that the answer must have, in order."""
        if self.fields:
            return self.fields
        return tuple(parse_answer(example.reference or "", self.parse).fields)

    def compared_fields(self, example: Example) -> tuple[str, ...]:
        """Names of the fields that are compared with the reference."""
        return tuple(name for name in self.expected_fields(example) if name not in self.free)

    def list_kinds(self, example: Example) -> tuple[str, ...]:
        names = self.compared_fields(example)
        return (FORMAT, *(f"{self.default_kind}:{name}" for name in names))

    def check(self, item: Item) -> Iterable[Check]:
        answer = parse_answer(item.text, self.parse)
        if answer.unjudgeable:
            for kind in self.list_kinds(item.example):
                yield leave_unscored(answer.unjudgeable, kind=kind)
            return
        yield self._check_form(item, answer)
        reference = parse_answer(item.reference or "", self.parse)
        for name in self.compared_fields(item.example):
            yield self._check_field(item, name, answer, reference)

    def _check_form(self, item: Item, answer: Parsed) -> Check:
        problems = check_form(
            answer, self.expected_fields(item.example), order=self.order, extra=self.extra
        )
        if not problems:
            # Going on, a cut answer could still add a line that does not belong there.
            return Check("pass", kind=FORMAT, final=False)
        spans = [
            item.span(p.span.start, p.span.end, p.span.note) for p in problems if p.span is not None
        ]
        final = any(problem.final for problem in problems)
        message = "; ".join(problem.message for problem in problems)
        return fail_check(message, *spans, kind=FORMAT, final=final)

    def _check_field(self, item: Item, name: str, answer: Parsed, reference: Parsed) -> Check:
        kind = f"{self.default_kind}:{name}"
        wanted = reference.fields.get(name.casefold())
        written = answer.fields.get(name.casefold())
        if wanted is None:
            return leave_unscored(f"the reference has no field {name!r}", kind=kind)
        if written is None:
            message = f"{name}: the field is not in the answer, expected {wanted.value!r}"
            return fail_check(message, kind=kind, final=False)
        final = answer.last != name.casefold()
        if compare_form(written) == compare_form(wanted):
            return Check("pass", kind=kind, final=final)
        span = item.span(written.start, written.end, name)
        message = f"{name}: {written.value!r}, expected {wanted.value!r}"
        return fail_check(message, span, kind=kind, final=final)
