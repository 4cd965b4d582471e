"""What rows aimed at is told as narrowly as they were drawn."""

from __future__ import annotations

from pool_rows import row
from residency.loop.aims import list_aims
from residency.nouns.issue import Issue, Slice
from residency.nouns.proposal import Proposal

YOUTH = Slice("field", "answer = youth", ("ex-1", "ex-2"))


def make_issue(kind: str, where: Slice) -> Issue:
    return Issue(kind, where, "suite", "1", 0.05, 1, "m1", title=kind)


WHOLE, LONG, LEAK = (
    make_issue("wrong", Slice()),
    make_issue("long", Slice()),
    make_issue("wrong", Slice("tag", "leak")),
)


def propose(issue: Issue, part: str) -> Proposal:
    return Proposal(issue.id, row(f"{issue.id} {part}"), "pool", "parts-1", 1.0, part=part)


def test_a_whole_task_issue_is_narrowed_to_the_parts_that_asked() -> None:
    drawn = [
        propose(WHOLE, "field: answer = youth"),
        propose(WHOLE, "tag: noise"),
        propose(LEAK, ""),
    ]
    aims = list_aims([WHOLE, LONG, LEAK], drawn, [YOUTH])
    assert [(a.kind, a.slice) for a in aims] == [
        ("wrong", YOUTH),
        ("wrong", Slice("tag", "noise")),
        ("wrong", LEAK.slice),
    ]
    assert aims[0].title == "wrong where answer = youth"


def test_it_stays_whole_where_rows_were_drawn_for_all_of_it_or_a_part_is_unknown() -> None:
    near = [propose(WHOLE, ""), propose(WHOLE, "tag: noise")]
    assert list_aims([WHOLE], near, []) == [WHOLE]
    assert list_aims([WHOLE], [propose(WHOLE, "cluster: gone")], [YOUTH]) == [WHOLE]
    assert list_aims([LONG], near, []) == []
