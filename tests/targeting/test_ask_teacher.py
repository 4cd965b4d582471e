"""Rows from people and teachers carry their provenance, and repeat nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from residency.interfaces import Generation, Prompt
from residency.nouns.example import Example, Message
from residency.nouns.issue import Issue, Slice
from residency.nouns.proposal import Proposal
from residency.nouns.response import Response, Sampling
from residency.targeting.ask_teacher import ask_teacher, correction, preference_pairs

ISSUE = Issue("wrong:order", Slice("tag", "order=price"), "suite", "1", 0.05, 1, "m1")
SAMPLING = Sampling(max_new_tokens=64)


def row(text: str, answer: str = "order: none", split: str = "pool") -> Example:
    turns = (Message("user", "Write the ticket.", input=text), Message("assistant", answer))
    return Example(turns, split=split, tags=("order=price",))  # type: ignore[arg-type]


SEEDS = [
    Proposal(ISSUE.id, row(text), "pool", "embedding-2", 0.9, near=f"ex-{k}")
    for k, text in enumerate(
        ["I paid 40 euros for the kettle and it leaks.", "The lamp for 12 euros is dark.",
         "My 99 dollar tent has a hole in it.", "A 5 pound mug came broken."]
    )
]  # fmt: skip


class Scripted:
    """A teacher that says what it is told to (the network's edge)."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = list(texts)
        self.asked: list[str] = []

    def generate(self, prompts, sampling, *, on_result=None, progress=None):  # type: ignore[no-untyped-def]
        self.asked += [prompt.messages[-1].content for prompt in prompts]
        assert all(isinstance(prompt, Prompt) for prompt in prompts)
        return [Generation(text) for text in self.texts]


def wrote(text: str, answer: str = "order: none") -> str:
    return json.dumps({"input": text, "response": answer})


def test_a_teachers_rows_are_like_the_seeds_and_say_where_they_come_from() -> None:
    teacher = Scripted(
        [
            wrote("The oven cost 300 francs and stays cold."),
            "Sure!\n" + wrote("Chair, 20 quid, wobbles."),
        ]
    )
    taught = ask_teacher(ISSUE, SEEDS, teacher, count=2, name="big-model", sampling=SAMPLING)
    assert len(taught.proposals) == 2
    first = taught.proposals[0]
    assert first.example.messages[0].content == "Write the ticket."
    assert first.example.messages[0].input == "The oven cost 300 francs and stays cold."
    assert (first.origin, first.selector, first.near) == ("teacher", "big-model", "ex-0")
    assert first.example.why == f"{ISSUE.id} teacher:big-model"
    assert first.example.tags == ("order=price",)
    assert "kettle" in teacher.asked[0]


def test_pain_31_a_teachers_duplicates_and_broken_answers_are_listed_not_used() -> None:
    fresh = wrote("The oven cost 300 francs and stays cold.")
    copy = wrote("I paid 40 euros for the kettle, and it leaks!")
    teacher = Scripted([fresh, fresh, copy, "I cannot help with that.", '{"input": "x"}', "{}{"])
    taught = ask_teacher(ISSUE, SEEDS, teacher, count=6, name="t", sampling=SAMPLING)
    assert len(taught.proposals) == 1
    assert len(taught.unusable) == 5
    assert sum("repeats" in reason for reason in taught.unusable) == 2
    assert ask_teacher(ISSUE, [], teacher, count=3, name="t", sampling=SAMPLING).proposals == ()


def test_a_persons_answer_and_the_failing_one_make_a_preference_pair() -> None:
    failing = Response("m1", SEEDS[0].example.id, "order: 40 euros")
    made = correction(ISSUE, SEEDS[0], "order: none given", person="ana", rejected=failing)
    assert made.example.reference == "order: none given"
    assert made.example.rejected == "order: 40 euros"
    assert (made.origin, made.selector, made.near) == ("person", "ana", "ex-0")
    assert made.example.prompt == SEEDS[0].example.prompt


def test_failed_responses_become_pairs_but_never_from_dev_or_test() -> None:
    rows = [seed.example for seed in SEEDS]
    responses = [Response("m1", r.id, f"order: {k}") for k, r in enumerate(rows)]
    responses[2] = Response("m1", rows[2].id, "Order: none")
    outcomes = {rows[0].id: True, rows[1].id: False, rows[2].id: True, rows[3].id: None}
    pairs = preference_pairs(ISSUE, rows, responses, outcomes)
    assert [p.example.rejected for p in pairs] == ["order: 0"]  # row 2 says what the reference says
    assert pairs[0].example.reference == "order: none"
    with pytest.raises(ValueError, match="never trained on"):
        preference_pairs(ISSUE, [row("secret", split="dev")], [], {})
