"""Where a model's reasoning ends and its answer begins.

Reasoning models write their thoughts between marks before they answer. Known are the marks of
the common families (``MARKS``). A template may write the opening mark itself: then only the
closing one stands in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MARKS: tuple[tuple[str, str], ...] = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<reason>", "</reason>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel>thought", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
)
"""Opening and closing marks of reasoning."""

_PATTERNS = tuple(
    # A mark in quotes or code is spoken of, not used.
    tuple(re.compile(rf"(?<![`'\"“]){re.escape(mark)}", re.IGNORECASE) for mark in marks)
    for marks in MARKS
)


@dataclass(frozen=True)
class AnswerPlace:
    """Characters ``start:end`` of a text are its answer.

    ``cut_in_reasoning``: the text ended while the model was still reasoning; the answer is empty.
    """

    start: int
    end: int
    cut_in_reasoning: bool = False


def find_answer(text: str, *, cut: bool = False) -> AnswerPlace:
    """The answer after the reasoning; the whole text where the marks are not balanced.

    Args:
        cut: the text was cut by the token limit: an open mark then means a cut reasoning.
    """
    whole_text = AnswerPlace(0, len(text))
    for opening, closing in _PATTERNS:
        opened = [hit.start() for hit in opening.finditer(text)]
        closed = list(closing.finditer(text))
        if not opened and not closed:
            continue
        before = text[: opened[0]].rstrip() if opened else ""
        if opened and (not closed or opened[-1] > closed[-1].start()):
            if cut and (closed or not before):
                return AnswerPlace(len(text), len(text), cut_in_reasoning=True)
            return whole_text
        start = _skip_space(text, closed[-1].end())
        if start == len(text) and before:
            return AnswerPlace(0, len(before))  # it reasons after its answer
        return AnswerPlace(start, len(text))
    return whole_text


def _skip_space(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start
