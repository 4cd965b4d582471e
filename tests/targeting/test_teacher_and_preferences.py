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
from residency.targeting.preferences import correct_row, pair_failures
from residency.targeting.teacher import read_rows, write_like_seeds

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
    made = write_like_seeds(ISSUE, SEEDS, teacher, count=2, name="big-model", sampling=SAMPLING)
    assert len(made.examples) == 2
    first = made.examples[0]
    assert first.messages[0].content == "Write the ticket."
    assert first.messages[0].input == "The oven cost 300 francs and stays cold."
    assert first.split == "train" and first.source == f"like {SEEDS[0].example.id}"
    assert first.why == f"teacher big-model for {ISSUE.id}"
    assert first.tags == ("order=price",)
    assert "kettle" in teacher.asked[0]


def test_pain_31_a_teachers_duplicates_and_broken_answers_are_listed_not_used() -> None:
    fresh = wrote("The oven cost 300 francs and stays cold.")
    copy = wrote("I paid 40 euros for the kettle, and it leaks!")
    teacher = Scripted([fresh, fresh, copy, "I cannot help with that.", '{"input": "x"}', "{}{"])
    made = write_like_seeds(ISSUE, SEEDS, teacher, count=6, name="t", sampling=SAMPLING)
    assert len(made.examples) == 1
    assert len(made.failed) == 5
    assert sum("repeats" in failed.reason for failed in made.failed) == 2
    nothing = write_like_seeds(ISSUE, [], teacher, count=3, name="t", sampling=SAMPLING)
    assert nothing.examples == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('```json\n[{"instruction": "a?", "response": "b"}]\n```', 1),
        ('[{"input": "a?", "response": "b"}, {"input": "", "response": "c"}, 5]', 1),
        ('Here: {"input": "a?", "response": "b"} Good luck!', 1),
        ('{"input": ["a"], "response": "b"}', 0),
        ("[" * 100_000, 0),
        ("null", 0),
    ],
)
def test_one_reading_of_a_teachers_json(text: str, count: int) -> None:
    assert len(read_rows(text)) == count


def test_a_persons_answer_and_the_failing_one_make_a_preference_pair() -> None:
    seed = SEEDS[0].example
    failing = Response("m1", seed.id, "order: 40 euros")
    made = correct_row(seed, "order: none given", person="ana", rejected=failing)
    assert (made.reference, made.rejected) == ("order: none given", "order: 40 euros")
    assert (made.split, made.why, made.prompt) == ("train", "person ana", seed.prompt)
    # An answer that was right as it stood is no pair.
    assert correct_row(seed, "order: 40 euros", person="ana", rejected=failing).rejected is None


def test_failed_responses_become_pairs_but_never_from_dev_or_test() -> None:
    rows = [seed.example for seed in SEEDS]
    responses = [Response("m1", r.id, f"order: {k}") for k, r in enumerate(rows)]
    responses[2] = Response("m1", rows[2].id, "Order: none")
    outcomes = {rows[0].id: True, rows[1].id: False, rows[2].id: True, rows[3].id: None}
    pairs = pair_failures(ISSUE, rows, responses, outcomes)
    assert [p.example.rejected for p in pairs] == ["order: 0"]  # row 2 says what the reference says
    assert pairs[0].example.reference == "order: none"
    with pytest.raises(ValueError, match="never trained on"):
        pair_failures(ISSUE, [row("secret", split="dev")], [], {})
