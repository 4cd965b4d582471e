"""Failing items take turns as what new rows are made for, so that each mode gets its share."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from residency.interfaces import Generation, Prompt
from residency.nouns.example import Example, Message
from residency.nouns.issue import Issue, Slice
from residency.nouns.proposal import Proposal
from residency.nouns.response import Sampling
from residency.targeting.seed_turns import order_seeds
from residency.targeting.teacher import write_like_seeds


def make_row(text: str, *tags: str) -> Example:
    return Example((Message("user", text), Message("assistant", "fine")), tags=tags)


def make_seeds(**parts: int) -> list[Proposal]:
    """So many seeds of the part of each tag, one part after the other, as the selector gives them."""
    return [
        Proposal("is-1", make_row(f"{tag} {n}", tag), "pool", "parts-1", 1.0, part=f"tag: {tag}")
        for tag, count in parts.items()
        for n in range(count)
    ]


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 9), st.integers(1, 9), st.integers())
def test_every_beginning_holds_the_modes_in_proportion_to_their_failing_items(
    of_a: int, of_b: int, seeds_a: int, seeds_b: int, shuffle: int
) -> None:
    failing = [make_row(f"a fails {n}", "a") for n in range(of_a)]
    failing += [make_row(f"b fails {n}", "b") for n in range(of_b)]
    failing.sort(key=lambda item: hash((item.id, shuffle)))
    seeds = make_seeds(a=seeds_a, b=seeds_b)
    for count in (1, 5, len(failing), 2 * len(failing) + 3):
        ordered = order_seeds(seeds, failing, [], count)
        assert len(ordered) == count
        share = of_a / len(failing)
        assert abs(sum(seed.part == "tag: a" for seed in ordered) - share * count) <= 1.5
        # each failing item in turn, none twice before all had one
        times = Counter(seed.near for seed in ordered)
        assert max(times.values()) - min(times.get(item.id, 0) for item in failing) <= 1
        tags = {item.id: item.tags for item in failing}
        assert all(seed.example.tags == tags[seed.near] for seed in ordered)


def test_rows_that_an_item_drew_itself_are_its_mode() -> None:
    failing = [make_row("first"), make_row("second")]
    seeds = [
        Proposal("is-1", make_row(f"pool {n}"), "pool", "embedding", 0.5, near=failing[n % 2].id)
        for n in range(6)
    ]
    ordered = order_seeds(seeds, failing, [], 6)
    assert {(s.example.id, s.near) for s in ordered} == {(s.example.id, s.near) for s in seeds}


def test_an_item_of_no_part_takes_what_there_is_and_no_failing_item_changes_nothing() -> None:
    seeds = make_seeds(a=2)
    (seed,) = order_seeds(seeds, [make_row("odd", "other")], [Slice("tag", "a")], 1)
    assert seed.example in [s.example for s in seeds]
    assert order_seeds(seeds, [], [], 1) == seeds[:1]
    assert order_seeds([], [make_row("x")], [], 3) == []


class Listener:
    """A teacher that keeps what it was shown."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def generate(self, prompts, sampling, *, on_result=None, progress=None):  # type: ignore[no-untyped-def]
        self.asked += [prompt.messages[-1].content for prompt in prompts]
        assert all(isinstance(prompt, Prompt) for prompt in prompts)
        return [Generation("nothing") for _ in prompts]


def test_a_request_shows_one_mode_alone() -> None:
    failing = [make_row(f"{tag} fails {n}", tag) for n in range(3) for tag in "ab"]
    issue = Issue("wrong", Slice(), "suite", "1", 0.05, 1, "m1")
    teacher = Listener()
    write_like_seeds(
        issue, order_seeds(make_seeds(a=4, b=4), failing, [], 6), teacher,
        count=6, name="t", sampling=Sampling(),
    )  # fmt: skip
    shown = [{f'"{tag} ' in text for tag in "ab"} for text in teacher.asked]
    assert len(shown) == 6
    assert all(('"a ' in text) != ('"b ' in text) for text in teacher.asked)
    assert not any("fails" in text for text in teacher.asked), "no item of dev is shown"
