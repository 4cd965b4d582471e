"""Prompts of the baselines: shots, retrieval, and what they share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from residency.errors import UserError
from residency.evaluate.baselines.prompting import (
    Retriever,
    SimilarShots,
    as_document,
    choose_shots,
    few_shot,
    prompting_name,
    with_context,
    zero_shot,
)
from residency.nouns.example import Example, Message


class Words:
    """An embedder over a fixed small vocabulary."""

    name = "words"
    vocabulary = ("kettle", "toaster", "leaks", "smokes", "invoice")

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.array([[t.count(w) for w in self.vocabulary] for t in texts], np.float32)
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.where(length == 0, 1, length), np.float32)


def row(prompt: str, answer: str | None = "ok", **more: object) -> Example:
    messages = [Message("system", "Be brief."), Message("user", prompt)]
    if answer is not None:
        messages.append(Message("assistant", answer))
    return Example(tuple(messages), **more)  # type: ignore[arg-type]


def test_few_shot_prompts_share_their_prefix() -> None:
    shots = [row("kettle leaks", "a"), row("toaster smokes", "b")]
    one, two = few_shot(row("x"), shots), few_shot(row("y"), shots)
    assert one[:-1] == two[:-1]
    assert [m.role for m in one] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert one[-1].content == "x"
    assert "ok" not in {m.content for m in one}  # the item's own answer is not shown
    assert few_shot(row("x"), []) == zero_shot(row("x"))


def test_a_shot_without_a_response_is_refused() -> None:
    with pytest.raises(UserError, match="no response"):
        few_shot(row("x"), [row("y", None)])


def test_chosen_shots_are_fixed_diverse_and_answered() -> None:
    train = [row(f"kettle {i}", tags=("kettle",), group=f"k{i // 5}") for i in range(40)]
    train += [row("toaster", tags=("toaster",)), row("invoice", tags=("invoice",))]
    train.append(row("no answer", None, tags=("rare",)))
    shots = choose_shots(train, 3, seed=1)
    assert {s.tags[0] for s in shots} == {"kettle", "toaster", "invoice"}
    assert [s.id for s in shots] == [s.id for s in choose_shots(train, 3, seed=1)]
    assert all(s.reference is not None for s in choose_shots(train, 10, seed=1))
    groups = [s.group for s in choose_shots(train, 8, seed=0) if s.group]
    assert len(groups) == len(set(groups))
    assert choose_shots(train, 0, seed=1) == []
    assert len(choose_shots(train[:2], 5, seed=1)) == 2


def test_chosen_shots_are_far_apart_in_meaning() -> None:
    train = [row(f"kettle leaks {i}") for i in range(20)] + [
        row("toaster smokes"),
        row("invoice 1"),
    ]
    shots = choose_shots(train, 3, seed=0, embedder=Words())
    assert {s.prompt_text.split("\n")[1].split()[0] for s in shots} == {
        "kettle",
        "toaster",
        "invoice",
    }


def test_similar_shots_put_the_nearest_last_and_never_give_the_answer_away() -> None:
    asked = row("kettle leaks", group="g")
    train = [
        row("kettle leaks", "a"),
        row("kettle smokes", "b"),
        row("invoice", "c"),
        row("kettle leaks badly", "the answer", group="g"),
        row("kettle leaks", None),
    ]
    shots = SimilarShots(train, Words())([asked], 2)[0]
    assert [s.reference for s in shots] == ["b", "a"]
    assert SimilarShots(train[:1], Words())([train[0]], 1) == [[]]  # the row itself


def test_retrieval_finds_the_text_that_shares_words() -> None:
    documents = ["Kettles are repaired within ten days.", "Toasters: two years of warranty.", ""]
    retriever = Retriever(documents)
    assert retriever(["how long for kettles repaired"], 1) == [documents[:1]]
    assert retriever(["toasters warranty", "zebra"], 2) == [documents[1:2], []]
    assert Retriever([])(["x"], 3) == [[]]
    assert retriever([], 3) == []


def test_retrieved_texts_stand_in_the_last_user_turn() -> None:
    prompt = row("x").prompt
    out = with_context(prompt, ["first", "second"])
    assert out[0] == prompt[0]
    assert out[1].content.endswith("x")
    assert "Text 1:\nfirst" in out[1].content
    assert with_context(prompt, []) == prompt
    assert as_document(row("q", "a")) == "q\na"
    typed = Example((Message("user", "Fill the form.", "my text"), Message("assistant", "a")))
    assert as_document(typed) == "my text\na"


def test_the_prompting_names_its_shots() -> None:
    shots = [row("a"), row("b")]
    assert prompting_name([]) == "zero-shot"
    assert prompting_name(shots).startswith("few-shot:2:")
    assert prompting_name(shots) != prompting_name(shots[::-1])
