"""Targeted rows come near the failures, differ from one another, and have a random control."""

from __future__ import annotations

import random

import pytest

from residency.embedding.wordllama import WordLlamaEmbedder
from residency.nouns.example import Example, Message
from residency.nouns.issue import Issue, Slice
from residency.targeting.select_rows import control, propose

INSTRUCTION = "Write the ticket, one line each: product, problem, order."
THEMES = {
    "leak": ["water drips from the tank", "a puddle under the machine", "it leaks on the floor"],
    "noise": ["a grinding sound at night", "it rattles loudly", "the motor whines and squeals"],
    "parcel": ["the courier never came", "tracking has not moved", "my delivery is lost"],
}


@pytest.fixture(scope="module")
def embedder() -> WordLlamaEmbedder:
    return WordLlamaEmbedder()


def row(text: str, *tags: str, group: str = "", split: str = "pool") -> Example:
    return Example(
        (Message("user", INSTRUCTION, input=text), Message("assistant", "product: none")),
        split=split,  # type: ignore[arg-type]
        tags=tags,
        group=group,
    )


def make_pool() -> list[Example]:
    rng = random.Random(3)
    rows = []
    for theme, phrases in THEMES.items():
        for k in range(40):
            product = rng.choice(["kettle", "toaster", "blender", "freezer", "juicer", "oven"])
            place = rng.choice(["Berlin", "Lagos", "Lima", "Oslo", "Quito", "Turin"])
            text = f"My {product} from {place}, case {k}: {rng.choice(phrases)}."
            rows.append(row(text, f"problem={theme}"))
    return rows


def issue(where: Slice | None = None) -> Issue:
    return Issue("wrong:problem", where or Slice(), "suite", "1", 0.05, 1, "m1")


def failures(theme: str, *tags: str) -> list[Example]:
    return [
        row(f"The device at home: {text}, please help.", *tags, split="dev")
        for text in THEMES[theme]
    ]


def test_rows_are_drawn_near_the_failures(embedder: WordLlamaEmbedder) -> None:
    pool = make_pool()
    chosen = propose(
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
    chosen = propose(where, vague, make_pool(), count=15, embedder=embedder, exclude=set(), seed=0)
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
    chosen = propose(issue(), failing, pool, count=10, embedder=embedder, exclude=set(), seed=0)
    assert sum("implied" in p.example.tags for p in chosen) >= 7  # 5 % of the pool
    usual = [row(f"The mixer {k} is dead.", "urgency=high", split="dev") for k in range(6)]
    plain = propose(issue(), usual, pool, count=10, embedder=embedder, exclude=set(), seed=0)
    assert sum("implied" in p.example.tags for p in plain) <= 4


def test_pain_31_no_duplicates_are_drawn(embedder: WordLlamaEmbedder) -> None:
    pool = make_pool()
    copies = [row(pool[0].messages[0].input.upper() + "!") for _ in range(3)]
    family = [row(f"It leaks on the floor again, {word}.", group="g") for word in ("sir", "madam")]
    chosen = propose(
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
    chosen = propose(
        issue(), failures("leak"), pool, count=50, embedder=embedder, exclude=out, seed=0
    )
    assert not out & {p.example.id for p in chosen}
    assert len(chosen) <= 6
    assert propose(issue(), [], pool, count=5, embedder=embedder, exclude=out, seed=0) == []


def test_selection_repeats(embedder: WordLlamaEmbedder) -> None:
    def draw() -> list[str]:
        chosen = propose(
            issue(), failures("leak"), make_pool(), count=12,
            embedder=embedder, exclude=set(), seed=4,
        )  # fmt: skip
        return [p.id for p in chosen]

    assert draw() == draw()


def test_the_control_is_random_of_the_same_size_and_follows_the_seed(
    embedder: WordLlamaEmbedder,
) -> None:
    pool = make_pool()
    main = propose(
        issue(), failures("leak"), pool, count=30, embedder=embedder, exclude=set(), seed=0
    )
    out = {pool[0].id}
    arm = control(main, pool, exclude=out, seed=1)
    assert len(arm) == len(main) == len({p.example.id for p in arm})
    assert {p.arm for p in arm} == {"control"}
    assert pool[0].id not in {p.example.id for p in arm}
    themes = [p.example.tags[0] for p in arm]
    assert max(themes.count(t) for t in set(themes)) < 20  # not drawn towards the failures
    again = control(main, pool[::-1], exclude=out, seed=1)
    assert [p.example.id for p in again] == [p.example.id for p in arm]
    other = control(main, pool, exclude=out, seed=2)
    assert [p.example.id for p in other] != [p.example.id for p in arm]
    assert {p.id for p in arm}.isdisjoint({p.id for p in main})


def test_pain_32_each_row_names_the_issue_the_failure_and_the_method(
    embedder: WordLlamaEmbedder,
) -> None:
    failing = failures("leak")
    chosen = propose(
        issue(), failing, make_pool(), count=5, embedder=embedder, exclude=set(), seed=0
    )
    for proposal in chosen:
        assert proposal.issue == issue().id
        assert proposal.near in {e.id for e in failing}
        assert proposal.selector == "embedding-2"
        assert proposal.score > 0
