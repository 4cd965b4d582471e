"""Whatever the way a row comes, it gets the same answer: loader, firewall, survey of benchmarks."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leak_rows import DEV, DEV_36, LEAKS, POOL, make, message, row
from residency.config.settings import Config
from residency.data.corpus import clean_rows
from residency.nouns.example import Example
from residency.overlap.compared_rows import compare_examples, compare_texts
from residency.overlap.firewall import screen_repeats, screen_rows
from residency.overlap.protected_rows import ProtectedRows

TRAIN = [replace(e, split="train") for e in make(POOL, 200, 1, "train")]
PROTECTED = [replace(e, split="dev") for e in make(DEV, 40, 2, "dev")]


def load(rows: list[Example]) -> set[str]:
    """Prompts that the loader leaves in train."""
    corpus = clean_rows([*TRAIN, *PROTECTED, *rows], Config.model_validate({}))
    return {message(e) for e in corpus.examples if e.split == "train"}


def screen(rows: list[Example]) -> set[str]:
    """Prompts that the firewall of collected, made and selected rows lets through."""
    return {message(e) for e in screen_rows(rows, PROTECTED, background=TRAIN).accepted}


@st.composite
def mixed_rows(draw: st.DrawFn) -> list[Example]:
    """Rows that share more or less of their words with a protected one."""
    rows = []
    for number in range(draw(st.integers(1, 4))):
        words = message(draw(st.sampled_from(PROTECTED))).split()
        other = message(draw(st.sampled_from(TRAIN))).split()
        begin = draw(st.integers(0, len(words)))
        size = draw(st.integers(0, len(words)))
        step = draw(st.sampled_from([1, 1, 2, 3]))
        text = [*other[:number], *words[begin : begin + size : step], f"case{number}"]
        rows.append(row(" ".join([*text, *other[number : number + size]]), "train"))
    return rows


@settings(max_examples=60, deadline=None)
@given(mixed_rows())
def test_loader_and_firewall_give_the_same_answer(rows: list[Example]) -> None:
    loaded, let_through = load(rows), screen(rows)
    # The loader also leaves out rows that repeat others; those are no leaks.
    repeats = {message(r.example) for r in screen_repeats(rows, TRAIN).rejected}
    for example in rows:
        if message(example) not in repeats:
            assert (message(example) in loaded) == (message(example) in let_through), message(
                example
            )


@pytest.mark.parametrize("kind", LEAKS)
def test_the_loader_refuses_what_the_firewall_refuses(kind: str) -> None:
    rng = random.Random(4)
    leaks = [row(LEAKS[kind](message(e), rng), "train") for e in PROTECTED[:10]]
    assert load(leaks).isdisjoint({message(e) for e in leaks})
    assert screen(leaks) == set()


def test_two_runs_of_twelve_words_are_a_leak_for_both() -> None:
    words = DEV_36.split()
    text = " ".join([*words[:12], "and", "besides", "that", *words[18:30], "thank", "you"])
    dev = row(DEV_36, "dev")
    assert screen_rows([row(text)], [dev], background=TRAIN).accepted == ()
    corpus = clean_rows([*TRAIN, dev, row(text, "train")], Config.model_validate({}))
    assert [r.kind for r in corpus.removed] == ["contamination"]


def test_questions_of_a_benchmark_are_protected_by_the_same_rule() -> None:
    questions = [message(e) for e in PROTECTED]
    index = ProtectedRows(compare_texts(questions))
    rows = [row(f"Well. {questions[3]}"), TRAIN[0]]
    compared = compare_examples(rows)
    index.count_rows(compare_examples(TRAIN))
    assert [(hit.row, hit.item) for hit in index.find_overlaps(compared)] == [(0, 3)]
    assert index.find_covered_items(compared) >= {3}


def test_pain_31_rows_that_repeat_are_left_out() -> None:
    long = "please tell me everything about the kettle that I bought in the shop last week"
    fresh = "how do I descale an iron with vinegar without any damage to the plate"
    new = [row(long), row(f"{long} again", answer="Other."), row(fresh), row(fresh, answer="Slow.")]
    result = screen_repeats(new, [row(long, "train")])
    assert [message(e) for e in result.accepted] == [fresh]
    assert all("near-duplicate" in r.reason for r in result.rejected)
