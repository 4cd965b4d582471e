"""What stands around an answer does not count, and a cut answer may still become the wanted one."""

from __future__ import annotations

import pytest

from residency.text.normal_form import could_become, normalise_answer


@pytest.mark.parametrize("text", ["北京。", "「北京」", "北京！", "\u200b北京", "北\u200d京"])
def test_end_marks_of_any_script_and_invisible_characters_do_not_count(text: str) -> None:
    assert normalise_answer(text) == "北京"


@pytest.mark.parametrize(
    "around", ["**{}**", "({})", "\\boxed{{{}}}", "- {}", "```\n{}\n```", "“{}.”"]
)
def test_one_mark_around_an_answer_does_not_count(around: str) -> None:
    assert normalise_answer(around.format("Paris")) == "paris"


def test_a_cut_answer_may_become_what_it_begins_and_nothing_else() -> None:
    assert could_become(normalise_answer("**Par"), "paris")
    assert could_become("", "paris")
    assert not could_become(normalise_answer("**Lon"), "paris")
    assert not could_become("paris, france", "paris")


def test_texts_of_marks_alone_are_told_apart() -> None:
    marks = ["?", "!", ".", ",", ":", ";", "...", "¿", "()", "+", "-", '"', "👍", "👎", ""]
    assert len({normalise_answer(mark) for mark in marks}) == len(marks)
