"""Targeted rows come near the failures, differ from one another, and have a random control."""

from __future__ import annotations

import random

import pytest

from pool_rows import failures, make_pool, row
from residency.embedding.wordllama import WordLlamaEmbedder
from residency.nouns.issue import Issue, Slice
from residency.targeting.selectors.embedding import select_nearest
from residency.targeting.selectors.random_rows import draw_random_rows


@pytest.fixture(scope="module")
def embedder() -> WordLlamaEmbedder:
    return WordLlamaEmbedder()


def issue(where: Slice | None = None) -> Issue:
    return Issue("wrong:problem", where or Slice(), "suite", "1", 0.05, 1, "m1")


def test_rows_are_drawn_near_the_failures(embedder: WordLlamaEmbedder) -> None:
    pool = make_pool()
    chosen = select_nearest(
        issue(), failures("noise"), pool, count=20, embedder=embedder, exclude=set(), seed=0
    )
    assert len(chosen) == 20
    assert sum("problem=noise" in p.example.tags for p in chosen) >= 17
    near = {p.near for p in chosen}
    assert near == {e.id for e in failures("noise")}  # every failure drew its share
    assert all(p.origin == "pool" and p.arm == "main" and p.issue == issue().id for p in chosen)


def test_the_issues_slice_draws_its_rows(embedder: WordLlamaEmbedder) -> None:
    where = issue(Slice("tag", "problem=parcel"))
    vague = [row(f"It is as I told you before, number {k}.", split="dev") for k in range(3)]
    chosen = select_nearest(
        where, vague, make_pool(), count=15, embedder=embedder, exclude=set(), seed=0
    )
    assert all("problem=parcel" in p.example.tags for p in chosen)


def test_a_tag_that_marks_the_failures_draws_its_rare_rows(embedder: WordLlamaEmbedder) -> None:
    rng = random.Random(5)
    texts = [f"My {rng.choice(['kettle', 'oven', 'lamp'])} {k} is dead, help." for k in range(200)]
    pool = [
        row(t, "urgency=high", *(["implied"] if k % 20 == 0 else [])) for k, t in enumerate(texts)
    ]
    failing = [
        row(f"The mixer {k} is dead.", "urgency=high", "implied", split="dev") for k in range(6)
    ]
    chosen = select_nearest(
        issue(), failing, pool, count=10, embedder=embedder, exclude=set(), seed=0
    )
    assert sum("implied" in p.example.tags for p in chosen) >= 7  # 5 % of the pool
    usual = [row(f"The mixer {k} is dead.", "urgency=high", split="dev") for k in range(6)]
    plain = select_nearest(issue(), usual, pool, count=10, embedder=embedder, exclude=set(), seed=0)
    assert sum("implied" in p.example.tags for p in plain) <= 4


def test_pain_31_no_duplicates_are_drawn(embedder: WordLlamaEmbedder) -> None:
    pool = make_pool()
    copies = [row(pool[0].messages[0].input.upper() + "!") for _ in range(3)]
    family = [row(f"It leaks on the floor again, {word}.", group="g") for word in ("sir", "madam")]
    chosen = select_nearest(
        issue(), failures("leak"), [*pool, *copies, *family], count=60,
        embedder=embedder, exclude=set(), seed=0,
    )  # fmt: skip
    texts = [p.example.messages[0].input.lower().strip("!.") for p in chosen]
    assert len(set(texts)) == len(texts)
    assert sum(p.example.group == "g" for p in chosen) <= 1
    assert len({p.example.id for p in chosen}) == len(chosen)


def test_excluded_rows_stay_out_and_a_small_pool_gives_what_it_has(
    embedder: WordLlamaEmbedder,
) -> None:
    pool = make_pool()[:10]
    out = {e.id for e in pool[:4]}
    chosen = select_nearest(
        issue(), failures("leak"), pool, count=50, embedder=embedder, exclude=out, seed=0
    )
    assert not out & {p.example.id for p in chosen}
    assert len(chosen) <= 6
    assert select_nearest(issue(), [], pool, count=5, embedder=embedder, exclude=out, seed=0) == []


def test_selection_repeats(embedder: WordLlamaEmbedder) -> None:
    def draw() -> list[str]:
        chosen = select_nearest(
            issue(), failures("leak"), make_pool(), count=12,
            embedder=embedder, exclude=set(), seed=4,
        )  # fmt: skip
        return [p.id for p in chosen]

    assert draw() == draw()


def test_the_control_is_random_of_the_same_size_and_follows_the_seed(
    embedder: WordLlamaEmbedder,
) -> None:
    pool = make_pool()
    main = select_nearest(
        issue(), failures("leak"), pool, count=30, embedder=embedder, exclude=set(), seed=0
    )
    out = {pool[0].id}
    arm = draw_random_rows(main, pool, exclude=out, seed=1)
    assert len(arm) == len(main) == len({p.example.id for p in arm})
    assert {p.arm for p in arm} == {"control"}
    assert pool[0].id not in {p.example.id for p in arm}
    themes = [p.example.tags[0] for p in arm]
    assert max(themes.count(t) for t in set(themes)) < 20  # not drawn towards the failures
    again = draw_random_rows(main, pool[::-1], exclude=out, seed=1)
    assert [p.example.id for p in again] == [p.example.id for p in arm]
    other = draw_random_rows(main, pool, exclude=out, seed=2)
    assert [p.example.id for p in other] != [p.example.id for p in arm]
    assert {p.id for p in arm}.isdisjoint({p.id for p in main})


def test_pain_32_each_row_names_the_issue_the_failure_and_the_method(
    embedder: WordLlamaEmbedder,
) -> None:
    failing = failures("leak")
    chosen = select_nearest(
        issue(), failing, make_pool(), count=5, embedder=embedder, exclude=set(), seed=0
    )
    for proposal in chosen:
        assert proposal.issue == issue().id
        assert proposal.near in {e.id for e in failing}
        assert proposal.selector == "embedding-2"
        assert proposal.score > 0
