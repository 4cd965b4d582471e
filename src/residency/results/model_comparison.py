"""Any two models on the same dev items: how often each fails, kind by kind, and the items that flipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from residency.errors import StoreError
from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.results.judged_answers import JudgedAnswers
from residency.results.kinds import kind_order
from residency.results.run_results import RunResults
from residency.stats.paired_outcomes import PairedComparison, compare_paired
from residency.store.finding_tables import Outcome

Flip = Literal["fixed", "broken", "fails otherwise", "fails alike", "right in both", "unscored"]
FLIPS: tuple[Flip, ...] = (
    "fixed",
    "broken",
    "fails otherwise",
    "fails alike",
    "right in both",
    "unscored",
)
"""In the order in which items are shown: those that flipped first."""
Value = TypeVar("Value")
ANY = "any failure"
"""The row of a comparison that asks whether anything at all failed in an answer."""


@dataclass(frozen=True)
class ComparedItem:
    """An item, what became of it, its two answers (response ids) and the kinds that each fails."""

    example: str
    flip: Flip
    before: str
    after: str
    before_kinds: tuple[str, ...]
    after_kinds: tuple[str, ...]


@dataclass(frozen=True)
class ComparedModels:
    """Two models by id. ``kinds`` begins with ``ANY``; each has its interval beside the difference."""

    before: str
    after: str
    kinds: dict[str, PairedComparison]
    items: list[ComparedItem]

    def count_flips(self) -> dict[Flip, int]:
        """How many items flipped how."""
        flips = [item.flip for item in self.items]
        return {flip: flips.count(flip) for flip in FLIPS if flip in flips}


@dataclass(frozen=True)
class ComparedAnswers:
    """An item with both texts and everything that failed in each."""

    item: ComparedItem
    example: Example
    before: Response
    after: Response
    before_findings: list[Finding]
    after_findings: list[Finding]


def compare_models(results: RunResults, before: str, after: str) -> ComparedModels:
    """Two models on the dev items that both answered.

    Raises:
        StoreError: they share no judged item.
    """
    answers = results.answers
    then, now = (answers.outcomes(model, "dev") for model in (before, after))
    shared = [key for key in answers.positions("dev") if key in then and key in now]
    if not shared:
        raise StoreError(
            "these two models have no judged answers to the same dev items",
            next_step="residency eval with each, under today's suite",
        )
    sides = [_Side(answers, {key: side[key] for key in shared}) for side in (then, now)]
    groups = results.store.corpus_groups(results.run, "dev")
    kinds = {ANY: compare_paired(sides[0].fails_any(), sides[1].fails_any(), groups=groups)}
    failed_anywhere = {
        kind for side in sides for failed_kinds in side.failed for kind in failed_kinds
    }
    for kind in sorted(failed_anywhere, key=kind_order):
        kinds[kind] = compare_paired(sides[0].fails(kind), sides[1].fails(kind), groups=groups)
    kinds_then, kinds_now = (side.list_failed() for side in sides)
    scored_then, scored_now = (side.list_scored() for side in sides)
    items = [
        ComparedItem(
            example=key,
            flip=_name_flip(
                kinds_then[key],
                kinds_now[key],
                scored_then[key] and scored_now[key],
            ),
            before=then[key][0].response,
            after=now[key][0].response,
            before_kinds=kinds_then[key],
            after_kinds=kinds_now[key],
        )
        for key in shared
    ]
    items.sort(key=lambda item: (FLIPS.index(item.flip), -_count_changed(item)))
    return ComparedModels(before, after, kinds, items)


def _count_changed(item: ComparedItem) -> int:
    """Kinds that one of the two answers fails and the other does not."""
    return len(set(item.before_kinds) ^ set(item.after_kinds))


def load_compared_answers(results: RunResults, items: list[ComparedItem]) -> list[ComparedAnswers]:
    """The texts and the evidence of some items."""
    answers = results.answers
    examples = {e.id: e for e in answers.examples([item.example for item in items])}
    responses = answers.responses({key for item in items for key in (item.before, item.after)})
    findings = answers.findings(list(responses.values()))

    def failed(response: str) -> list[Finding]:
        return [finding for finding in findings[response] if finding.status == "fail"]

    return [
        ComparedAnswers(
            item,
            examples[item.example],
            responses[item.before],
            responses[item.after],
            failed(item.before),
            failed(item.after),
        )
        for item in items
    ]


class _Side:
    """One model's items. Thousands share what their checks said: each such case is read once."""

    def __init__(self, answers: JudgedAnswers, items: Mapping[str, list[Outcome]]) -> None:
        cases: dict[tuple[tuple[int, ...], ...], int] = {}
        self._answers = answers
        self._cases: list[list[Outcome]] = []
        self._case: dict[str, int] = {}
        for key, several in items.items():
            check_numbers = tuple(numbers for o in several for numbers in (o.failed, o.repeated))
            case = cases.setdefault(check_numbers, len(cases))
            if case == len(self._cases):
                self._cases.append(several)
            self._case[key] = case
        self.failed = [answers.failed_kinds(several) for several in self._cases]
        self._scored = [answers.is_scored(several) for several in self._cases]

    def list_failed(self) -> dict[str, tuple[str, ...]]:
        """The kinds that each item fails."""
        return self._spread(self.failed)

    def list_scored(self) -> dict[str, bool]:
        """Whether any check could judge each item."""
        return self._spread(self._scored)

    def fails_any(self) -> dict[str, bool | None]:
        """Whether each item fails anything (None: unscored)."""
        cases = zip(self.failed, self._scored, strict=True)
        return self._spread([bool(kinds) if kinds or scored else None for kinds, scored in cases])

    def fails(self, kind: str) -> dict[str, bool | None]:
        """Whether each item fails a kind (None: unscored)."""
        return self._spread([self._answers.fails_kind(case, kind) for case in self._cases])

    def _spread(self, of_cases: Sequence[Value]) -> dict[str, Value]:
        return {key: of_cases[case] for key, case in self._case.items()}


def _name_flip(before: tuple[str, ...], after: tuple[str, ...], scored: bool) -> Flip:
    if not scored and not (before and after):
        return "unscored"
    if before and not after:
        return "fixed"
    if after and not before:
        return "broken"
    if before:
        return "fails alike" if before == after else "fails otherwise"
    return "right in both"
