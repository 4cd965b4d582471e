"""Any two models on the same dev items: how often each fails, kind by kind, and the items that flipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from residency.errors import StoreError
from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.results.judged_answers import JudgedAnswers
from residency.results.kinds import kind_order
from residency.results.run_results import RunResults
from residency.stats.paired_outcomes import PairedComparison, compare_paired
from residency.store.answer_tables import Outcome

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
    kinds_then = {key: answers.failed_kinds(then[key]) for key in shared}
    kinds_now = {key: answers.failed_kinds(now[key]) for key in shared}
    groups = results.store.corpus_groups(results.run, "dev")
    kinds = {ANY: _compare_any(answers, then, now, kinds_then, kinds_now, groups)}
    seen = {kind for several in (kinds_then, kinds_now) for own in several.values() for kind in own}
    for kind in sorted(seen, key=kind_order):
        sides = [_fails(answers, side, shared, kind) for side in (then, now)]
        kinds[kind] = compare_paired(sides[0], sides[1], groups=groups)
    items = [
        ComparedItem(
            example=key,
            flip=_name_flip(
                kinds_then[key],
                kinds_now[key],
                _is_scored(answers, then[key]) and _is_scored(answers, now[key]),
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


def _compare_any(
    answers: JudgedAnswers,
    then: Mapping[str, list[Outcome]],
    now: Mapping[str, list[Outcome]],
    kinds_then: Mapping[str, tuple[str, ...]],
    kinds_now: Mapping[str, tuple[str, ...]],
    groups: Mapping[str, str],
) -> PairedComparison:
    def outcome(several: list[Outcome], kinds: tuple[str, ...]) -> bool | None:
        return bool(kinds) if kinds or _is_scored(answers, several) else None

    before = {key: outcome(then[key], kinds) for key, kinds in kinds_then.items()}
    after = {key: outcome(now[key], kinds) for key, kinds in kinds_now.items()}
    return compare_paired(before, after, groups=groups)


def _is_scored(answers: JudgedAnswers, outcomes: list[Outcome]) -> bool:
    """Whether any check could judge the answers."""
    return any(
        outcome.failed
        or any(answers.checks[number].status == "pass" for number in outcome.repeated)
        for outcome in outcomes
    )


def _fails(
    answers: JudgedAnswers, side: Mapping[str, list[Outcome]], shared: list[str], kind: str
) -> dict[str, bool | None]:
    return {key: answers.fails_kind(side[key], kind) for key in shared}


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
