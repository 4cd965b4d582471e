"""Where a model's reasoning ends and its answer begins."""

from __future__ import annotations

import pytest

from residency.text.reasoning import MARKS, find_answer


def answer_of(text: str, *, cut: bool = False) -> str:
    place = find_answer(text, cut=cut)
    return text[place.start : place.end]


@pytest.mark.parametrize(("opening", "closing"), MARKS)
def test_pain_42_reasoning_between_known_marks_is_no_answer(opening: str, closing: str) -> None:
    assert answer_of(f"{opening}\nhm, 7? no\n{closing}\n\nParis") == "Paris"
    assert answer_of(f"hm, 7? no{closing}Paris") == "Paris"  # the template wrote the opening mark
    assert answer_of(f"{opening}hm", cut=True) == ""
    assert find_answer(f"{opening}hm", cut=True).cut_in_reasoning
    assert answer_of(f"{opening}hm") == f"{opening}hm"  # not balanced: left as it is


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Paris", "Paris"),
        ("", ""),
        ("<think></think>", ""),
        ("<think>a</think>B<think>c</think>D", "D"),
        ("Paris.\n<think>was that right?</think>", "Paris."),
        ("<think>I could write <think> here</think>Paris", "Paris"),
        (
            "Write `<think>` first and `</think>` last.",
            "Write `<think>` first and `</think>` last.",
        ),
        ("<THINK>a</THINK>B", "B"),
        ("<think>a</think><|begin_of_box|>B<|end_of_box|>", "B"),
        ("I think that 3 < 4", "I think that 3 < 4"),
        ("< think >a</ think >B", "B"),
        ("analysisWe look.assistantfinalParis", "Paris"),
        ("analysis of the final text", "analysis of the final text"),
        ("<|channel|>analysis<|message|>a<|end|><|channel|>final<|message|>B<|return|>", "B"),
        ("Steps: a [BEGIN FINAL RESPONSE]\nB\n[END FINAL RESPONSE]<|end|>", "B"),
        ("<think>a</think><answer>B</answer>", "<answer>B</answer>"),
        ("<think>a</think><reasoning>b</reasoning>C", "C"),
        ("<reasoning>a <think>b</think> c</reasoning>D", "D"),
        ("<think>a <reasoning>b</reasoning> c</think>D", "D"),
        ("<think>a</think>B<think>c</think>", "B"),
        ("A<think>b</think>C<think>d</think>", "C"),
        ("<think>a</think>\nB\n<think>c<think>d</think></think>", "B"),
        ("<think>a</think>B<think>c</think>D", "D"),
        ("<think>a</think>", ""),
        ("Say <think> first. <reasoning>a</reasoning>B", "B"),
    ],
)
def test_what_remains_is_the_answer(text: str, answer: str) -> None:
    assert answer_of(text) == answer


def test_a_second_reasoning_that_is_cut_is_cut_too() -> None:
    assert find_answer("<think>a</think>B<think>c", cut=True).cut_in_reasoning
    assert find_answer("analysisThe user asks", cut=True).cut_in_reasoning
    assert not find_answer("analysis of it", cut=True).cut_in_reasoning
    assert not find_answer("Use <think> to begin", cut=True).cut_in_reasoning
