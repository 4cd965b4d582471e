"""From findings to figures, each with its interval and its coverage.

The score of an item is the share of its scored checks that passed (each compared field is
one check); an item without a scored check has no score. What is unscored is never counted
as failed: it lowers the coverage that stands beside the figure, and ``floor`` says what the
figure would be if every unscored check had failed.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.stats.intervals import mean_interval, rate_interval

LEVEL = 0.95


@dataclass(frozen=True)
class Rate:
    """How often a kind of failure occurs.

    Attributes:
        rate: failed / scored, None when nothing was scored; low, high: its interval.
        total: responses that were looked at; scored: of them, pass or fail.
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
        """Share of the responses that could be scored."""
        return self.scored / self.total if self.total else 0.0


@dataclass(frozen=True)
class Score:
    """The overall score.

    Attributes:
        mean: mean item score in [0, 1], None when no item was scored; low, high: bootstrap
            interval over groups.
        floor: mean item score if every unscored check had failed.
        items: responses looked at; scored_items: of them, those with a scored check.
        checks, scored_checks: the same for single checks; coverage: their ratio.
    """

    mean: float | None
    low: float
    high: float
    floor: float
    items: int
    scored_items: int
    checks: int
    scored_checks: int

    @property
    def coverage(self) -> float:
        """Share of the checks that could be scored."""
        return self.scored_checks / self.checks if self.checks else 0.0


@dataclass(frozen=True)
class Scores:
    """The score and the rate of each kind, over all items and over each slice (tag).

    ``by_item`` holds each response's own score (None: nothing was scored).
    """

    score: Score
    kinds: Mapping[str, Rate]
    slices: Mapping[str, tuple[Score, Mapping[str, Rate]]]
    by_item: Mapping[str, float | None] = field(default_factory=dict)
    level: float = LEVEL

    @property
    def mean(self) -> float:
        """The mean item score; 0 when nothing was scored (``score.coverage`` tells)."""
        return self.score.mean or 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; figures that do not exist are null."""
        return {
            "score": _row(self.score),
            "kinds": {kind: _row(rate) for kind, rate in self.kinds.items()},
            "slices": {
                tag: {"score": _row(score), "kinds": {k: _row(r) for k, r in kinds.items()}}
                for tag, (score, kinds) in self.slices.items()
            },
            "by_item": dict(self.by_item),
            "level": self.level,
        }


def summarise(
    findings: Sequence[Finding],
    examples: Sequence[Example],
    responses: Sequence[Response],
    *,
    score_kinds: Collection[str] | None = None,
    min_slice: int = 5,
    seed: int = 0,
) -> Scores:
    """Scores of one model's responses.

    Args:
        findings: of the suite, and of any other detector (they get rates too).
        score_kinds: kinds that make up the score; None takes every check of the suite.
        min_slice: a tag with fewer responses is left out of the slices.
        seed: of the bootstrap.
    """
    by_id = {example.id: example for example in examples}
    group_of = {
        r.id: (by_id[r.example].group or r.example) if r.example in by_id else r.example
        for r in responses
    }
    mine = [finding for finding in findings if finding.response in group_of]
    order = list(dict.fromkeys(response.id for response in responses))
    tags: dict[str, list[str]] = defaultdict(list)
    for response in {r.id: r for r in responses}.values():
        example = by_id.get(response.example)
        for tag in dict.fromkeys(example.tags if example else ()):
            tags[tag].append(response.id)
    counted = _score_checks(mine, score_kinds)
    kinds = _by_kind(mine)
    slices = {
        tag: (
            _score(counted, members, group_of, seed),
            _rates(kinds, set(members), group_of),
        )
        for tag, members in sorted(tags.items())
        if len(members) >= min_slice
    }
    return Scores(
        score=_score(counted, order, group_of, seed),
        kinds=_rates(kinds, set(order), group_of),
        slices=slices,
        by_item={i: _item_score(counted.get(i, [])) for i in order},
    )


def _score_checks(
    findings: Sequence[Finding], score_kinds: Collection[str] | None
) -> dict[str, list[Finding]]:
    out: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        if score_kinds is None:
            counts = finding.detector.startswith("suite:")
        else:
            counts = finding.kind in score_kinds
        if counts:
            out[finding.response].append(finding)
    return out


def _item_score(checks: Sequence[Finding]) -> float | None:
    scored = [check for check in checks if check.status != "unscored"]
    if not scored:
        return None
    return sum(check.status == "pass" for check in scored) / len(scored)


def _score(
    checks: Mapping[str, Sequence[Finding]],
    members: Sequence[str],
    group_of: Mapping[str, str],
    seed: int,
) -> Score:
    looked = [checks.get(member, []) for member in members]
    items = [_item_score(own) for own in looked]
    values = [value for value in items if value is not None]
    groups = [group_of[m] for m, value in zip(members, items, strict=True) if value is not None]
    low, high = mean_interval(values, groups, level=LEVEL, seed=seed)
    strict = [sum(c.status == "pass" for c in own) / len(own) for own in looked if own]
    return Score(
        mean=sum(values) / len(values) if values else None,
        low=max(low, 0.0) if values else 0.0,
        high=min(high, 1.0) if values else 1.0,
        floor=sum(strict) / len(strict) if strict else 0.0,
        items=len(members),
        scored_items=len(values),
        checks=sum(len(own) for own in looked),
        scored_checks=sum(c.status != "unscored" for own in looked for c in own),
    )


def _by_kind(findings: Sequence[Finding]) -> dict[str, dict[str, bool | None]]:
    """Kind → response → failed; None is unscored. Several checks of one kind: any failure fails."""
    out: dict[str, dict[str, bool | None]] = defaultdict(dict)
    for finding in findings:
        own = out[finding.kind]
        new = None if finding.status == "unscored" else finding.status == "fail"
        old = own.get(finding.response)
        own[finding.response] = new if old is None else old or bool(new)
    return out


def _rates(
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


def _row(figure: Rate | Score) -> dict[str, Any]:
    row = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in dataclasses.asdict(figure).items()
    }
    return {**row, "coverage": figure.coverage}
