"""From findings to figures, each with its interval and its coverage.

The score of an item is the share of its scored checks that passed (each compared field is one
check; several samples of an item become one outcome a check, see ``stats.sample_reducer``); an
item without a scored check has no score. What is unscored is never counted as failed: it lowers
the coverage that stands beside the figure, and ``floor`` says what the figure would be if every
unscored check had failed. An answer cut by the token limit is the answer's failure: a check
that the cut left open counts as failed. An item that has no answer (an error of the
server) has no score, and counts against the coverage. Beside the checks stands the primary
metric, by which models are compared.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from residency.evaluate.judged_answer import JudgedAnswer, judge_answer
from residency.evaluate.suites.check_result import CUT
from residency.evaluate.suites.closed_set import ClosedSet, measure_closed_set
from residency.evaluate.suites.primary_metric import PrimaryMetric
from residency.evaluate.suites.primary_score import PrimaryScore, measure_primary
from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.stats.intervals import mean_interval, rate_interval
from residency.stats.sample_reducer import Check, Reduce, check_outcomes, kind_outcomes

LEVEL = 0.95


@dataclass(frozen=True)
class Rate:
    """How often a kind of failure occurs.

    Attributes:
        rate: failed / scored, None when nothing was scored; low, high: its interval.
        total: items that were looked at; scored: of them, pass or fail.
        coverage: scored / total.
    """

    rate: float | None
    low: float
    high: float
    failed: int
    scored: int
    total: int

    @property
    def coverage(self) -> float:
        """Share of the items that could be scored."""
        return self.scored / self.total if self.total else 0.0


@dataclass(frozen=True)
class Score:
    """The overall score.

    Attributes:
        mean: mean item score in [0, 1], None when no item was scored; low, high: bootstrap
            interval over groups.
        floor: mean item score if every unscored check had failed.
        items: how many; scored_items: of them, those with a scored check; missing: those that
            have no answer.
        checks, scored_checks: the same for single checks; coverage: their ratio, an item without
            an answer counted with as many checks as the others have on average.
    """

    mean: float | None
    low: float
    high: float
    floor: float
    items: int
    scored_items: int
    checks: int
    scored_checks: int
    missing: int = 0

    @property
    def coverage(self) -> float:
        """Share of the checks that could be scored."""
        answered = self.items - self.missing
        share = answered / self.items if self.items else 0.0
        return share * self.scored_checks / self.checks if self.checks else 0.0


@dataclass(frozen=True)
class Scores:
    """The score and the rate of each kind, over all items and over each slice (tag).

    ``by_item`` holds each response's score and ``by_example`` each item's, whose samples are
    reduced to one (None: nothing was scored); ``by_check`` each item's failed checks. ``primary`` is what models are compared by;
    ``closed_set`` stands beside it where answers are classes.
    """

    score: Score
    kinds: Mapping[str, Rate]
    slices: Mapping[str, tuple[Score, Mapping[str, Rate]]]
    by_item: Mapping[str, float | None] = field(default_factory=dict)
    by_example: Mapping[str, float | None] = field(default_factory=dict)
    by_check: Mapping[str, Mapping[Check, bool | None]] = field(default_factory=dict)
    level: float = LEVEL
    primary: PrimaryScore | None = None
    closed_set: ClosedSet | None = None

    @property
    def mean(self) -> float:
        """The mean item score; 0 when nothing was scored (``score.coverage`` tells)."""
        return self.score.mean or 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; figures that do not exist are null."""
        return {
            "score": _to_row(self.score),
            "kinds": {kind: _to_row(rate) for kind, rate in self.kinds.items()},
            "slices": {
                tag: {"score": _to_row(score), "kinds": {k: _to_row(r) for k, r in kinds.items()}}
                for tag, (score, kinds) in self.slices.items()
            },
            "by_item": dict(self.by_item),
            "level": self.level,
            **({"primary": self.primary.to_dict()} if self.primary else {}),
            **({"closed_set": self.closed_set.to_dict()} if self.closed_set else {}),
        }


def summarise_scores(
    findings: Sequence[Finding],
    examples: Sequence[Example],
    responses: Sequence[Response],
    *,
    score_kinds: Collection[str] | None = None,
    min_slice: int = 5,
    seed: int = 0,
    reduce: Reduce = "majority",
    primary: PrimaryMetric | None = None,
    classes: Sequence[str] = (),
    read: Callable[[Example, Response], JudgedAnswer] = judge_answer,
) -> Scores:
    """Scores of one model's responses.

    Args:
        findings: of the suite, and of any other detector (they get rates too).
        examples: every item; one without a response counts against the coverage.
        score_kinds: kinds that make up the score; None takes every check of the suite.
        min_slice: a tag with fewer items is left out of the slices.
        seed: of the bootstrap.
        reduce: how several samples of an item become one outcome.
        primary: the metric that models are compared by; None leaves it out.
        classes: of a closed set, in normal form.
        read: what of a response, and of its reference, is judged (``grade.read_judged``).
    """
    by_id = {example.id: example for example in examples}
    answered = dict.fromkeys(response.example for response in responses)
    items = list(dict.fromkeys([*answered, *by_id]))
    group_of = {i: (by_id[i].group or i) if i in by_id else i for i in items}
    ids = {response.id for response in responses}
    mine = [finding for finding in findings if finding.response in ids]
    scored = [_fail_if_cut(finding) for finding in mine if _is_scored(finding, score_kinds)]
    by_check = check_outcomes(scored, responses, reduce)
    checks = {item: list(outcomes.values()) for item, outcomes in by_check.items()}
    kinds = kind_outcomes(mine, responses, reduce)
    tags: dict[str, list[str]] = defaultdict(list)
    for item in items:
        for tag in dict.fromkeys(by_id[item].tags if item in by_id else ()):
            tags[tag].append(item)
    slices = {
        tag: (
            _average_scores(checks, members, group_of, seed, answered),
            _list_rates(kinds, set(members), group_of),
        )
        for tag, members in sorted(tags.items())
        if len(members) >= min_slice
    }
    answers: dict[str, list[bool | None]] = {response.id: [] for response in responses}
    for finding in scored:
        failed = None if finding.status == "unscored" else finding.status == "fail"
        answers[finding.response].append(failed)
    return Scores(
        score=_average_scores(checks, items, group_of, seed, answered),
        kinds=_list_rates(kinds, set(items), group_of),
        slices=slices,
        by_item={response: _passed_share(answer) for response, answer in answers.items()},
        by_example={item: _passed_share(checks.get(item, [])) for item in items},
        by_check=by_check,
        primary=None
        if primary is None
        else measure_primary(primary, mine, examples, responses, reduce=reduce),
        closed_set=_measure_classes(classes, examples, responses, read, _list_right(primary, mine)),
    )


def _list_right(primary: PrimaryMetric | None, findings: Sequence[Finding]) -> set[str]:
    """Ids of the responses that passed the rule by which models are compared, where it is one."""
    if primary is None or primary.counted != "rule":
        return set()
    own = [finding for finding in findings if finding.detector == primary.detector]
    passed = {finding.response for finding in own if finding.status == "pass"}
    return passed - {finding.response for finding in own if finding.status == "fail"}


def _measure_classes(
    classes: Sequence[str],
    examples: Sequence[Example],
    responses: Sequence[Response],
    read: Callable[[Example, Response], JudgedAnswer],
    right: Collection[str],
) -> ClosedSet | None:
    """The closed set; a cut answer is in no class, and a right one (``1.0`` for 1) in its own."""
    if not classes:
        return None
    by_id = {example.id: example for example in examples}
    references: dict[str, str] = {}
    answers: dict[str, list[str]] = defaultdict(list)
    for response in responses:
        example = by_id.get(response.example)
        if example is None or example.reference is None or response.finish == "error":
            continue
        judged = read(example, response)
        references[example.id] = judged.reference or ""
        text = judged.reference or "" if response.id in right else judged.text
        answers[example.id].append("" if response.finish == "length" else text)
    return measure_closed_set(classes, references, answers)


def _fail_if_cut(finding: Finding) -> Finding:
    """What the token limit left open is not passed: the answer was never finished."""
    if finding.status == "unscored" and finding.message == CUT:
        return dataclasses.replace(finding, status="fail")
    return finding


def _is_scored(finding: Finding, score_kinds: Collection[str] | None) -> bool:
    """Whether a finding is part of the score."""
    if score_kinds is None:
        return finding.detector.startswith("suite:")
    return finding.kind in score_kinds


def _passed_share(failed: Sequence[bool | None]) -> float | None:
    """Share of the scored checks that passed; None when none was scored."""
    scored = [bad for bad in failed if bad is not None]
    return sum(not bad for bad in scored) / len(scored) if scored else None


def _average_scores(
    checks: Mapping[str, Sequence[bool | None]],
    members: Sequence[str],
    group_of: Mapping[str, str],
    seed: int,
    answered: Collection[str],
) -> Score:
    looked = [checks.get(member, []) for member in members]
    items = [_passed_share(outcomes) for outcomes in looked]
    values = [value for value in items if value is not None]
    groups = [group_of[m] for m, value in zip(members, items, strict=True) if value is not None]
    low, high = mean_interval(values, groups, level=LEVEL)
    missing = sum(member not in answered for member in members)
    strict = [
        sum(bad is False for bad in outcomes) / len(outcomes) for outcomes in looked if outcomes
    ]
    strict += [0.0] * missing
    return Score(
        mean=sum(values) / len(values) if values else None,
        low=max(low, 0.0) if values else 0.0,
        high=min(high, 1.0) if values else 1.0,
        floor=sum(strict) / len(strict) if strict else 0.0,
        items=len(members),
        scored_items=len(values),
        checks=sum(len(outcomes) for outcomes in looked),
        scored_checks=sum(bad is not None for outcomes in looked for bad in outcomes),
        missing=missing,
    )


def _list_rates(
    kinds: Mapping[str, Mapping[str, bool | None]],
    members: Collection[str],
    group_of: Mapping[str, str],
) -> dict[str, Rate]:
    out = {}
    for kind, results in sorted(kinds.items()):
        mine = {r: failed for r, failed in results.items() if r in members}
        if not mine:
            continue
        scored = {r: failed for r, failed in mine.items() if failed is not None}
        values = list(scored.values())
        low, high = rate_interval(values, [group_of[r] for r in scored], LEVEL)
        out[kind] = Rate(
            rate=sum(values) / len(values) if values else None,
            low=low,
            high=high,
            failed=sum(values),
            scored=len(values),
            total=len(mine),
        )
    return out


def _to_row(figure: Rate | Score) -> dict[str, Any]:
    row = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in dataclasses.asdict(figure).items()
    }
    return {**row, "coverage": figure.coverage}
