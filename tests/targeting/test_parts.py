"""Whole-task issues ask through the parts that tell their failures; named slices come first."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from pool_rows import KnownSignals, make_pool, row
from residency.embedding.wordllama import WordLlamaEmbedder
from residency.nouns.example import Example
from residency.nouns.issue import Issue, Slice
from residency.targeting.selectors.automatic import select_automatically
from residency.targeting.selectors.parts import find_parts
from residency.targeting.selectors.selector import SelectionRequest


def make_issue(kind: str, where: Slice) -> Issue:
    return Issue(kind, where, "suite", "1", 0.05, 1, "m1")


WHOLE = make_issue("wrong", Slice())
OTHER = make_issue("long", Slice())
LEAK = make_issue("wrong", Slice("tag", "problem=leak"))


def make_failures(theme: str, count: int) -> list[Example]:
    return [row(f"{theme} failure {n}", f"problem={theme}", split="dev") for n in range(count)]


def make_request(issues: dict[Issue, list[Example]], pool: list[Example]) -> SelectionRequest:
    return SelectionRequest(
        issues=list(issues),
        failing={issue.id: failing for issue, failing in issues.items()},
        pool=pool,
        rows_per_issue=12,
        max_rows=24,
        seed=0,
        embedder=WordLlamaEmbedder(),
        signals=KnownSignals(),
    )


@pytest.fixture
def pool() -> list[Example]:
    """Leaks and noises are a sixth of the pool each, parcels the rest."""
    rows = make_pool()
    parcels = [r for r in rows if "problem=parcel" in r.tags]
    few = [r for t in ("leak", "noise") for r in rows if f"problem={t}" in r.tags][::4]
    more = [replace(r, messages=row(f"again {n}").messages) for n, r in enumerate(parcels)]
    return [*few, *parcels, *more]


def test_a_whole_task_issue_asks_through_what_is_frequent_among_its_failures(
    pool: list[Example],
) -> None:
    failing = [*make_failures("leak", 8), *make_failures("noise", 8), *make_failures("parcel", 6)]
    parts = find_parts(make_request({WHOLE: failing}, pool))
    assert {part.slice.value for part in parts} == {"problem=leak", "problem=noise"}
    chosen = select_automatically(make_request({WHOLE: failing}, pool))
    assert Counter(p.example.tags[0] for p in chosen) == {"problem=leak": 10, "problem=noise": 10}


def test_named_slices_come_before_what_a_whole_task_issue_tells(pool: list[Example]) -> None:
    issues = {WHOLE: make_failures("noise", 9), LEAK: make_failures("leak", 9)}
    parts = find_parts(make_request(issues, pool))
    assert [(part.issue, part.name) for part in parts] == [
        (LEAK, ""),
        (WHOLE, "tag: problem=noise"),
    ]


def test_a_part_belongs_to_the_issue_whose_failures_lie_in_it_the_most(
    pool: list[Example],
) -> None:
    mixed = [*make_failures("leak", 5), *make_failures("noise", 5), *make_failures("parcel", 8)]
    issues = {OTHER: mixed, WHOLE: make_failures("leak", 12)}
    owners = {part.slice.value: part.issue for part in find_parts(make_request(issues, pool))}
    assert owners == {"problem=leak": WHOLE, "problem=noise": OTHER}


def test_trained_rows_and_failures_of_every_issue_are_counted(pool: list[Example]) -> None:
    issues = {LEAK: make_failures("leak", 3), OTHER: make_failures("leak", 7)}
    request = replace(make_request(issues, pool), trained=[r for r in pool if "leak" in r.tags[0]])
    (part,) = [part for part in find_parts(request) if part.issue == LEAK]
    assert (part.trained, len(part.failures)) == (10, 7)


def test_the_budget_that_parts_cannot_use_is_drawn_by_nearness(pool: list[Example]) -> None:
    bare = [replace(example, tags=()) for example in make_failures("parcel", 4)]
    issues = {LEAK: make_failures("leak", 9), OTHER: bare}
    chosen = select_automatically(make_request(issues, pool))
    assert Counter(p.issue for p in chosen) == {LEAK.id: 10, OTHER.id: 12}
    assert len({p.example.id for p in chosen}) == 22
