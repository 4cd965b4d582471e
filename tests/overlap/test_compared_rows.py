"""What of a row is compared: everything that is trained."""

from __future__ import annotations

import pytest

from residency.nouns.example import Example, Message
from residency.overlap.compared_rows import gather_answers


@pytest.mark.parametrize("part", ["content", "thinking"])
def test_whatever_the_assistant_says_is_part_of_the_answer(part: str) -> None:
    turns = [
        (Message("user", "q"), Message("assistant", **{"content": "a", part: text}))
        for text in ("it is the first", "or the second one")
    ]
    answers = [gather_answers(Example(turn)) for turn in turns]
    assert answers[0] != answers[1]
    call = {"function": {"name": "look_up", "arguments": "{}"}}
    assert "look_up" in gather_answers(
        Example((Message("user", "q"), Message("assistant", "", tool_calls=(call,))))
    )
    early = Example((*turns[0], Message("user", "p"), Message("assistant", "b")))
    late = Example((*turns[1], Message("user", "p"), Message("assistant", "b")))
    assert gather_answers(early) != gather_answers(late)
