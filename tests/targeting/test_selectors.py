"""Every selector gives each open issue its share, of the right rows, and nothing that is taken."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pool_rows import THEMES, KnownSignals, failures, make_pool
from residency.embedding.wordllama import WordLlamaEmbedder
from residency.errors import ConfigError
from residency.nouns.issue import Issue, Slice
from residency.nouns.proposal import Proposal
from residency.plugins import register_plugin
from residency.targeting.selectors.named_selectors import find_selector
from residency.targeting.selectors.selector import (
    SelectionRequest,
    share_budget,
)

NAMES = ("embedding", "slice", "loss", "loss-drop", "gradient", "auto")


def issue(theme: str) -> Issue:
    where = Slice("tag", f"problem={theme}") if theme else Slice()
    return Issue("wrong:problem", where, "suite", "1", 0.05, 1, "m1")


ISSUES = [issue("leak"), issue("noise"), issue("parcel")]


@pytest.fixture(scope="module")
def request_() -> SelectionRequest:
    return SelectionRequest(
        issues=ISSUES,
        failing={i.id: failures(theme) for i, theme in zip(ISSUES, THEMES, strict=True)},
        pool=make_pool(),
        rows_per_issue=10,
        max_rows=21,
        seed=0,
        embedder=WordLlamaEmbedder(),
        signals=KnownSignals(),
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_issue_gets_an_equal_share_of_its_own_rows(
    name: str, request_: SelectionRequest
) -> None:
    chosen = find_selector(name)(request_)
    assert Counter(p.issue for p in chosen) == {i.id: 7 for i in ISSUES}
    assert len({p.example.id for p in chosen}) == 21
    slices = {i.id: i.slice for i in ISSUES}
    assert all(slices[p.issue].contains(p.example) for p in chosen)
    assert [p.id for p in find_selector(name)(request_)] == [p.id for p in chosen]


def test_the_slice_is_drawn_at_random_by_the_seed_whatever_the_order(
    request_: SelectionRequest,
) -> None:
    select = find_selector("slice")
    first = {p.example.id for p in select(request_)}
    assert first == {p.example.id for p in select(replace(request_, pool=request_.pool[::-1]))}
    assert first != {p.example.id for p in select(replace(request_, seed=1))}


def test_a_rare_slice_gives_what_it_has_and_the_rest_goes_to_the_others(
    request_: SelectionRequest,
) -> None:
    rare = [r for r in request_.pool if "problem=leak" in r.tags][:2]
    others = [r for r in request_.pool if "problem=leak" not in r.tags]
    for name in ("slice", "auto"):
        chosen = find_selector(name)(replace(request_, pool=[*others, *rare], rows_per_issue=12))
        counts = Counter(p.issue for p in chosen)
        assert counts[ISSUES[0].id] >= 2
        assert sum(counts.values()) == 21


def test_an_issue_inside_another_is_not_starved(request_: SelectionRequest) -> None:
    whole = issue("")
    failing = {whole.id: failures("leak", "problem=leak"), ISSUES[0].id: failures("leak")}
    chosen = find_selector("slice")(
        replace(request_, issues=[whole, ISSUES[0]], failing=failing, max_rows=20)
    )
    assert Counter(p.issue for p in chosen) == {whole.id: 10, ISSUES[0].id: 10}


def test_the_highest_losses_and_falls_are_drawn(request_: SelectionRequest) -> None:
    for name in ("loss", "loss-drop"):
        chosen = [p for p in find_selector(name)(request_) if p.issue == ISSUES[0].id]
        texts = [p.example.messages[0].input for p in chosen]
        numbers = [int(t.partition("case ")[2].split(":")[0]) for t in texts]
        assert numbers == sorted(numbers, reverse=True)
        assert min(numbers) >= 30


def test_an_issue_that_no_tag_tells_is_served_by_nearness(request_: SelectionRequest) -> None:
    whole = issue("")
    bare = [replace(e, tags=()) for e in failures("noise")]
    chosen = find_selector("auto")(replace(request_, issues=[whole], failing={whole.id: bare}))
    assert {p.selector for p in chosen} == {"embedding-2"}
    assert sum("problem=noise" in p.example.tags for p in chosen) >= 8


def test_a_plugin_is_a_selector(request_: SelectionRequest) -> None:
    def select_first(request: SelectionRequest) -> list[Proposal]:
        return [Proposal(request.issues[0].id, request.pool[0], "pool", "first", 1.0)]

    register_plugin("selectors", "first", select_first)
    assert len(find_selector("first")(request_)) == 1
    with pytest.raises(ConfigError, match="no selector is called 'nearest'") as caught:
        find_selector("nearest")
    assert "embedding, slice" in caught.value.next_step


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=8), st.integers(1, 20), st.integers(0, 100)
)
def test_a_budget_is_spent_evenly_and_nobody_is_starved(
    available: list[int], most_each: int, most: int
) -> None:
    shares = share_budget(available, most_each=most_each, most=most)
    limits = [min(a, most_each) for a in available]
    assert sum(shares) == min(most, sum(limits))
    assert all(share <= limit for share, limit in zip(shares, limits, strict=True))
    short = [share for share, limit in zip(shares, limits, strict=True) if share < limit]
    if short:
        assert max(shares) - min(short) <= 1
    if most >= sum(a > 0 for a in available):
        assert all(share for share, a in zip(shares, available, strict=True) if a)
