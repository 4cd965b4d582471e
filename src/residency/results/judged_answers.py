"""Answers and what the checks said of them, counted over thousands and shown a page at a time.

Counting reads the store's short rows; texts and evidence are read only for what is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from typing import NamedTuple, cast

from residency.errors import StoreError
from residency.nouns.example import Example, Split
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.results.check_combinations import Combination, parse_combination
from residency.results.kinds import kind_order
from residency.stats.sample_reducer import Reduce, reduce_outcomes
from residency.store.finding_tables import Outcome
from residency.store.item_filter import CheckNumbers, ItemFilter
from residency.store.packed_findings import Check
from residency.store.record_kind import RecordKind
from residency.store.run_tables import MOST_FITTING
from residency.store.store import Store


class KindsSaid(NamedTuple):
    """What some checks speak of: the kinds of all, of those that passed, and all in order."""

    every: frozenset[str]
    passed: frozenset[str]
    named: tuple[str, ...]


class JudgedAnswers:
    """The answers of a run's models, under the suite and the detectors of that run."""

    def __init__(self, store: Store, run: str, reduce: Callable[[], str]) -> None:
        self.store = store
        self._run = run
        self._reduce = reduce
        self._outcomes: dict[tuple[str, Split], dict[str, list[Outcome]]] = {}
        self._shared: dict[tuple[str, Split], dict[int, tuple[int, ...]]] = {}
        self._single: dict[str, bool] = {}
        self._kinds: dict[tuple[int, ...], KindsSaid] = {}
        self._combinations: dict[tuple[ItemFilter, str, str], list[tuple[Combination, int]]] = {}
        self._tags: dict[Split, dict[str, tuple[str, ...]]] = {}
        self._positions: dict[Split, dict[str, int]] = {}

    # --- examples -------------------------------------------------------------------------

    def positions(self, split: Split) -> dict[str, int]:
        """Place of each example of a split, by id."""
        if split not in self._positions:
            ids = self.store.corpus_ids(self._run, split)
            self._positions[split] = {key: number for number, key in enumerate(ids)}
        return self._positions[split]

    def tags(self, split: Split) -> dict[str, tuple[str, ...]]:
        """Tags of each example of a split, by id, in order."""
        if split not in self._tags:
            self._tags[split] = self.store.corpus_tags(self._run, split)
        return self._tags[split]

    def examples(self, ids: Sequence[str]) -> list[Example]:
        """Examples of the run, in the order of the ids."""
        examples = self.store.corpus_examples(self._run, ids)
        return [examples[key] for key in ids if key in examples]

    def first_examples(self, split: Split, count: int) -> list[Example]:
        """The first examples of a split."""
        return self.store.corpus(self._run, split, limit=count)

    def find_example(self, prefix: str) -> Example:
        """One example of the run by id or the beginning of its id.

        Raises:
            StoreError: none or several begin so.
        """
        known = self.store.find_examples(self._run, prefix)
        for split in ("dev", "test", "train", "pool"):
            fitting = [key for split_of_key, key in known if split_of_key == split]
            if len(fitting) == 1 and len(known) < MOST_FITTING:
                return self.examples(fitting)[0]
        raise StoreError(
            f"no single example begins with {prefix!r}", next_step="give more of its id"
        )

    # --- outcomes -------------------------------------------------------------------------

    @cached_property
    def scopes(self) -> list[str]:
        """What the run's answers were judged against, oldest first."""
        records = self.store.records(RecordKind.SCOPE, self._run)
        return list(dict.fromkeys(record["scope"] for record in records))

    @cached_property
    def checks(self) -> dict[int, Check]:
        """What checks said, by number."""
        return self.store.checks()

    def outcomes(
        self, model: str, split: Split, examples: Sequence[str] | None = None
    ) -> dict[str, list[Outcome]]:
        """A model's judged answers by example: of a whole split, or of some examples."""
        if examples is not None:
            return _by_example(self.store.outcomes(self.scopes, model, examples))
        key = (model, split)
        if key not in self._outcomes:
            positions = self.positions(split)
            rows = self.store.outcomes(self.scopes, model)
            self._outcomes[key] = _by_example(row for row in rows if row.example in positions)
        return self._outcomes[key]

    def numbers_of(self, kind: str, detector: str, status: str) -> frozenset[int]:
        """Numbers of the checks of one detector and kind that said so."""
        return frozenset(
            number
            for number, check in self.checks.items()
            if (check.kind, check.detector, check.status) == (kind, detector, status)
        )

    def number_checks(self, kind: str, detector: str = "") -> CheckNumbers:
        """Numbers of the checks of a kind (of one detector, or of any) that failed and passed."""
        by_status: dict[str, set[int]] = {"fail": set(), "pass": set()}
        for number, check in self.checks.items():
            if (
                check.kind == kind
                and detector in ("", check.detector)
                and check.status in by_status
            ):
                by_status[check.status].add(number)
        return CheckNumbers(frozenset(by_status["fail"]), frozenset(by_status["pass"]))

    def has_one_answer(self, *models: str) -> bool:
        """Whether each of these models answered each item once at most: then the database counts."""
        for model in models:
            if model not in self._single:
                self._single[model] = self.store.has_one_answer(model, self.scopes)
        return all(self._single[model] for model in models)

    def make_item_filter(
        self, split: Split, *, tag: str = "", members: Sequence[str] | None = None
    ) -> ItemFilter:
        """Items of a split, as the run judged them."""
        chosen = None if members is None else tuple(members)
        return ItemFilter(self._run, split, tuple(self.scopes), tag, chosen)

    def count_combinations(
        self, item_filter: ItemFilter, before: str, after: str
    ) -> list[tuple[Combination, int]]:
        """Items by what the checks said of both answers: read once for all issues of two models."""
        key = (item_filter, before, after)
        if key not in self._combinations:
            counted = self.store.count_written_numbers(*key)
            self._combinations[key] = [(parse_combination(w), n) for w, n in counted]
        return self._combinations[key]

    def item_failures(
        self, model: str, split: Split, kind: str, detector: str
    ) -> dict[str, tuple[bool | None, Outcome]]:
        """For each item whether it fails (None: unscored), and the answer that shows it."""
        outcomes = self.outcomes(model, split)
        has_failed = self.find_sharing(model, split, self.numbers_of(kind, detector, "fail"))
        has_passed = self.find_sharing(model, split, self.numbers_of(kind, detector, "pass"))
        how = cast(Reduce, self._reduce())

        def failed(outcome: Outcome) -> bool | None:
            if id(outcome.failed) in has_failed:
                return True
            return False if id(outcome.repeated) in has_passed else None

        items = {}
        for example, several in outcomes.items():
            if len(several) == 1:
                items[example] = failed(several[0]), several[0]
                continue
            each = [failed(outcome) for outcome in several]
            bad = reduce_outcomes(each, how)
            shown = next(
                (o for o, is_bad in zip(several, each, strict=True) if is_bad is bad), None
            )
            items[example] = bad, shown or several[0]
        return items

    def find_sharing(self, model: str, split: Split, numbers: frozenset[int]) -> set[int]:
        """Which of the outcomes' tuples of check numbers hold one of these, by ``id``.

        Answers share their tuples: there are hundreds of them where there are thousands of answers.
        """
        key = (model, split)
        if key not in self._shared:
            every = [o for several in self.outcomes(model, split).values() for o in several]
            self._shared[key] = {id(o.failed): o.failed for o in every}
            self._shared[key] |= {id(o.repeated): o.repeated for o in every}
        shared = self._shared[key]
        return {
            identity
            for identity, tuple_numbers in shared.items()
            if not numbers.isdisjoint(tuple_numbers)
        }

    def failed_kinds(
        self, outcomes: Iterable[Outcome], only: Collection[str] = ()
    ) -> tuple[str, ...]:
        """Kinds that an item fails, its samples reduced; ``only`` these, where some are named."""
        several = list(outcomes)
        if len(several) == 1 and not only:
            return self._read_kinds(several[0].failed).named
        kinds = {kind for outcome in several for kind in self._read_kinds(outcome.failed).named}
        if len(several) > 1:
            how = cast(Reduce, self._reduce())
            kinds = {
                kind
                for kind in kinds
                if reduce_outcomes([self._fails_kind(outcome, kind) for outcome in several], how)
            }
        return tuple(sorted(kinds & set(only) if only else kinds, key=kind_order))

    def fails_kind(self, outcomes: Sequence[Outcome], kind: str) -> bool | None:
        """Whether an item fails a kind, its samples reduced; None: unscored."""
        if len(outcomes) == 1:
            return self._fails_kind(outcomes[0], kind)
        each = [self._fails_kind(outcome, kind) for outcome in outcomes]
        return reduce_outcomes(each, cast(Reduce, self._reduce()))

    def is_scored(self, outcomes: Sequence[Outcome]) -> bool:
        """Whether any check could judge the answers."""
        return any(
            outcome.failed or self._read_kinds(outcome.repeated).passed for outcome in outcomes
        )

    def _fails_kind(self, outcome: Outcome, kind: str) -> bool | None:
        """Whether an answer fails a kind, whoever reported it; None: unscored."""
        if outcome.failed and kind in self._read_kinds(outcome.failed).every:
            return True
        return False if kind in self._read_kinds(outcome.repeated).passed else None

    def _read_kinds(self, numbers: tuple[int, ...]) -> KindsSaid:
        """The kinds of some checks, read once: thousands of answers share hundreds of tuples."""
        known = self._kinds.get(numbers)
        if known is None:
            checks = [self.checks[number] for number in numbers]
            every = frozenset(check.kind for check in checks)
            passed = frozenset(check.kind for check in checks if check.status == "pass")
            known = KindsSaid(every, passed, tuple(sorted(every, key=kind_order)))
            self._kinds[numbers] = known
        return known

    # --- texts and evidence ---------------------------------------------------------------

    def responses(self, ids: Iterable[str]) -> dict[str, Response]:
        """Responses by id."""
        return self.store.responses_by_id(ids)

    def findings(self, responses: Sequence[Response]) -> dict[str, list[Finding]]:
        """The findings of these answers, by response id; failures in the order of their kinds."""
        latest: dict[tuple[str, str, str], list[Finding]] = {}
        for scope in self.scopes:
            of_scope: dict[tuple[str, str, str], list[Finding]] = {}
            for finding in self.store.findings(scope, responses):
                key = (finding.response, finding.detector, finding.kind)
                of_scope.setdefault(key, []).append(finding)
            latest.update(of_scope)
        findings: dict[str, list[Finding]] = {response.id: [] for response in responses}
        for (response, _, _), several in latest.items():
            findings[response] += several
        return {
            key: sorted(several, key=lambda f: (f.status != "fail", kind_order(f.kind)))
            for key, several in findings.items()
        }


def _by_example(outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    rows: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        rows.setdefault(outcome.example, []).append(outcome)
    for several in rows.values():
        if len(several) > 1:
            several.sort(key=lambda outcome: outcome.sample)
    return rows
