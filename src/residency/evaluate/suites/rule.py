"""What a rule is: settings checked at load time, and a check that answers with evidence.

Where going on could have turned a result around, an answer that was cut by the token limit is
unscored: it is not *wrong*. It is no good answer either: scores count what a cut left open as
failed. A field that a complete answer lacks has failed. A response that ended in an error is
unscored by every rule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from residency.errors import SuiteError, UserError
from residency.evaluate.judged_answer import JudgedAnswer
from residency.evaluate.suites.check_result import (
    CUT,
    Check,
    Context,
    Item,
    fail_check,
    leave_unscored,
    raised_check,
)
from residency.evaluate.suites.reference_form import ReferenceForm, find_form
from residency.nouns.content_id import canonical_json
from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.text.answer_fields import Parse, parse_answer
from residency.text.words import split_words

Word = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]
"""A text that can be looked for: an empty one stands in every answer."""
RAISED_HELP = (
    "mend it. A rule is given the answer's text and its example; with an instruction shared by all "
    "rows (data.instruction) the row's own text is example.prompt_text"
)


class Rule(BaseModel):
    """Settings that every rule takes; a subclass adds more, and ``check``."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False
    )

    NAME: ClassVar[str] = ""
    KIND: ClassVar[str] = ""
    VERSION: ClassVar[int] = 2
    NEEDS_REFERENCE: ClassVar[bool] = False

    name: str = ""
    """Its name; the finding's detector is ``suite:NAME``."""
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
    reference_form: ReferenceForm = ""
    """Only examples whose reference has this form."""

    @model_validator(mode="after")
    def _scope_holds_something(self) -> Rule:
        top = self.max_reference_words
        if top is not None and self.min_reference_words > top:
            raise ValueError(
                f"'min_reference_words' ({self.min_reference_words}) is greater than "
                f"'max_reference_words' ({top})"
            )
        return self

    @property
    def detector(self) -> str:
        """``suite:`` and the rule's name."""
        return f"suite:{self.name or self.NAME}"

    @cached_property
    def version(self) -> str:
        """The rule's code version and a hash of the settings that decide its results."""
        scope = {"name", "kind", "severity", "tags", "examples", "folder"}
        scope |= set() if self.reference_form else {"reference_form"}
        settings = canonical_json(self.model_dump(mode="json", exclude=scope))
        return f"{self.VERSION}:{hashlib.sha256(settings.encode()).hexdigest()[:8]}"

    @property
    def default_kind(self) -> str:
        """The kind of a finding whose check names none."""
        if self.kind:
            return self.kind
        return f"{self.KIND}:{self.field}" if self.field else self.KIND

    def list_kinds(self, example: Example) -> tuple[str, ...]:
        """The kinds that this rule answers for an example (all of them where there is no text)."""
        return (self.default_kind,)

    @property
    def needs_reference(self) -> bool:
        """Whether the rule can say nothing about an example without a reference."""
        return self.NEEDS_REFERENCE

    def applies_to(self, example: Example) -> bool:
        """Whether the example is in the rule's scope."""
        if self.examples and example.id not in self.examples:
            return False
        if self.tags and not set(self.tags) & set(example.tags):
            return False
        if self.reference_form and (
            example.reference is None or find_form(example.reference) != self.reference_form
        ):
            return False
        if self.min_reference_words or self.max_reference_words is not None:
            if example.reference is None:
                return False
            count = len(split_words(example.reference))
            top = self.max_reference_words
            return count >= self.min_reference_words and (top is None or count <= top)
        return True

    def grade_answers(self, answers: Sequence[JudgedAnswer], context: Context) -> Iterator[Finding]:
        """Findings for the answers in scope, in order.

        Rules over groups or batches override ``check_all``; the others only ``check``.

        Raises:
            SuiteError: the rule raised an exception on every answer; the message is the first's.
        """
        items = [self.make_item(answer) for answer in answers]
        live = [i for i, item in enumerate(items) if not item.missing]
        results = dict(
            zip(live, self._check_safely([items[i] for i in live], context), strict=True)
        )
        for i, item in enumerate(items):
            if item.missing:
                make = fail_check if item.absent else leave_unscored
                checks: Iterable[Check] = (
                    make(item.missing, kind=kind) for kind in self.list_kinds(item.example)
                )
            else:
                checks = results[i]
            for check in checks:
                yield self._make_finding(item, check)

    def check_all(self, items: Sequence[Item], context: Context) -> list[list[Check]]:
        """Checks of each item, in order."""
        return [self._check_one(item) for item in items]

    def check(self, item: Item) -> Iterable[Check]:
        """Checks of one item."""
        raise NotImplementedError

    def _check_one(self, item: Item) -> list[Check]:
        try:
            return list(self.check(item))
        except UserError:
            raise
        except Exception as error:  # whatever a model wrote, and whatever a user's rule does
            return [
                raised_check(self.detector, error, kind=kind)
                for kind in self.list_kinds(item.example)
            ]

    def _check_safely(self, items: Sequence[Item], context: Context) -> list[list[Check]]:
        """Checks of each item; a rule that raises on all of them has judged nothing."""
        if not items:
            return []
        try:
            results = self.check_all(items, context)
        except UserError:
            raise
        except Exception as error:
            results = [
                [
                    raised_check(self.detector, error, kind=kind)
                    for kind in self.list_kinds(item.example)
                ]
                for item in items
            ]
        raised = [checks[0].message for checks in results if checks and checks[0].raised]
        if len(raised) == len(items):
            raise SuiteError(
                f"{raised[0]}, and likewise on all of {len(items)} answers",
                where=f"suite, rule {self.NAME!r}",
                next_step=RAISED_HELP,
            )
        return results

    def make_item(self, answer: JudgedAnswer) -> Item:
        """The answer's text, or the field of it that the rule looks at."""
        example, response = answer.example, answer.response
        reference = answer.reference
        if response.finish == "error":
            reason = f"no response: {response.error or 'the generator failed'}"
            return Item(example, response, "", reference, missing=reason)
        cut = response.finish == "length"
        if not self.field:
            whole = Item(example, response, answer.text, reference, answer.start, cut=cut)
            return self._require_reference(whole)
        name = self.field.casefold()
        parsed = parse_answer(answer.text, self.parse)
        wanted = None
        if reference is not None:
            value = parse_answer(reference, self.parse).fields.get(name)
            wanted = value.value if value else None
        field = parsed.fields.get(name)
        if field is None:
            why = CUT if cut else f"the answer has no field {self.field!r}"
            item = Item(example, response, "", wanted, cut=cut, missing=why, absent=not cut)
            return self._require_reference(item)
        start = answer.start + field.start
        inside = cut and parsed.last == name
        return self._require_reference(
            Item(example, response, field.value, wanted, start, cut=inside)
        )

    def _require_reference(self, item: Item) -> Item:
        if self.needs_reference and item.reference is None:
            what = f"its field {self.field!r}" if self.field else "a reference"
            reason = f"the example has no reference for this rule ({what} is missing)"
            return Item(item.example, item.response, item.text, None, missing=reason)
        return item

    def _make_finding(self, item: Item, check: Check) -> Finding:
        if item.cut and not check.final:
            check = leave_unscored(CUT, kind=check.kind)
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
