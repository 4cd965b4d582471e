"""Who is given targeted rows first."""

from __future__ import annotations

import dataclasses

from residency.loop.judge import sort_by_need
from residency.nouns.issue import Issue, Slice
from residency.nouns.verdict import Verdict

BASE = Verdict(
    issue="",
    before="a",
    after="b",
    round=1,
    split="dev",
    status="persisting",
    n=10,
    unscored=0,
    before_rate=0.5,
    after_rate=0.5,
    fixed=0,
    broken=0,
    delta=0.0,
    low=0.0,
    high=0.0,
    p_value=1.0,
    e_value=1.0,
    alpha=0.02,
    mde=0.3,
)


def issue(kind: str, tag: str = "") -> Issue:
    slice_ = Slice("tag", tag) if tag else Slice()
    return Issue(kind, slice_, "d", "1", 0.05, 0, "m")


def test_what_does_not_move_comes_first_and_a_slice_before_the_whole() -> None:
    whole, slice_, fell, unsure, fresh = (
        issue("wrong:urgency"),
        issue("wrong:urgency", "sarcasm"),
        issue("wrong:problem"),
        issue("wrong:name"),
        issue("wrong:order", "correction"),
    )
    statuses = {whole: "persisting", slice_: "persisting", fell: "improved", unsure: "inconclusive"}
    verdicts = [
        dataclasses.replace(BASE, issue=i.id, status=status)  # type: ignore[arg-type]
        for i, status in statuses.items()
    ]
    order = sort_by_need([fell, whole, unsure, fresh, slice_], verdicts)
    assert order == [slice_, whole, fresh, unsure, fell]


def test_the_latest_verdict_counts() -> None:
    first, second = issue("a"), issue("b")
    verdicts = [
        dataclasses.replace(BASE, issue=first.id, status="persisting", round=1),
        dataclasses.replace(BASE, issue=second.id, status="improved", round=1),
        dataclasses.replace(BASE, issue=first.id, status="improved", round=2),
        dataclasses.replace(BASE, issue=second.id, status="persisting", round=2),
    ]
    assert sort_by_need([first, second], verdicts) == [second, first]
