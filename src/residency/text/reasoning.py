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
    ("<thoughts>", "</thoughts>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<inner_monologue>", "</inner_monologue>"),
    ("<antThinking>", "</antThinking>"),
    ("<longcat_think>", "</longcat_think>"),
    ("<mm:think>", "</mm:think>"),
    ("<seed:think>", "</seed:think>"),
    ("&lt;think&gt;", "&lt;/think&gt;"),
    ("<thought_process>", "</thought_process>"),
    ("<reasoning_content>", "</reasoning_content>"),
    ("<|thinking|>", "<|/thinking|>"),
    ("<|think|>", "<|/think|>"),
    ("<unused94>", "<unused95>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel>thought", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
)
"""Opening and closing marks of reasoning."""

ANSWER_MARKS: tuple[tuple[str, str], ...] = (
    ("", "<|return|>"),
    ("", "<|end|>"),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<|begin_of_box|>", "<|end_of_box|>"),
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    ("[BEGIN FINAL RESPONSE]", "[END FINAL RESPONSE]"),
)
"""What some families write around the answer itself: marks that no task asks for."""
_BARE_CHANNELS = re.compile(r"\Aanalysis.*?assistant\s?final(?:json)?", re.DOTALL)
"""Channels whose marks were dropped as special tokens: *analysis … assistantfinal …*."""
_BARE_BEGIN = re.compile(r"analysis[A-Z]")
_FIRST_CHARACTERS = re.compile(r"[<\[◁]|&lt;")
"""Every mark begins so."""
_LEADING_FINAL = ("[BEGIN FINAL RESPONSE]",)
"""Marks before which everything is reasoning, though nothing opened it."""


def _mark_pattern(mark: str) -> re.Pattern[str]:
    """A mark of reasoning; one in quotes or code is spoken of, not used. A tag may hold spaces."""
    spaced = re.sub(r"\A<(/?)(\w+)>\Z", r"<\\s*\1\\s*\2\\s*>", mark)
    body = spaced if spaced != mark else re.escape(mark)
    return re.compile(rf"(?<![`'\"“]){body}", re.IGNORECASE)


_PATTERNS = tuple(tuple(map(_mark_pattern, marks)) for marks in MARKS)


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
    rest = _find_after_reasoning(text, cut=cut)
    start, end = _strip_answer_marks(text, rest.start, rest.end)
    return AnswerPlace(start, end, rest.cut_in_reasoning)


def _strip_answer_marks(text: str, start: int, end: int) -> tuple[int, int]:
    """Without the marks that a family writes around its answers."""
    for opening, closing in ANSWER_MARKS:
        if opening in _LEADING_FINAL and opening in text[start:end]:
            start = _skip_space(text, text.index(opening, start) + len(opening))
        elif opening and text.startswith(opening, start, end):
            start = _skip_space(text, start + len(opening))
        trimmed = text[start:end].rstrip()
        if trimmed.endswith(closing):
            end = start + len(trimmed[: -len(closing)].rstrip())
    return start, end


def _find_after_reasoning(text: str, *, cut: bool) -> AnswerPlace:
    whole_text = AnswerPlace(0, len(text))
    if channels := _BARE_CHANNELS.match(text):
        return AnswerPlace(_skip_space(text, channels.end()), len(text))
    if cut and _BARE_BEGIN.match(text):
        return AnswerPlace(len(text), len(text), cut_in_reasoning=True)
    if not _FIRST_CHARACTERS.search(text):
        return whole_text
    place = whole_text
    for _ in MARKS:  # one family's reasoning may stand within or behind another's
        narrower = _leave_out_families(text, place, cut=cut)
        if narrower == place or narrower.cut_in_reasoning:
            return narrower
        place = narrower
    return place


def _leave_out_families(text: str, place: AnswerPlace, *, cut: bool) -> AnswerPlace:
    """A narrower place, by the first family of marks that stands in it."""
    for opening, closing in _PATTERNS:
        opened = [hit.start() for hit in opening.finditer(text, place.start, place.end)]
        closed = list(closing.finditer(text, place.start, place.end))
        if not opened and not closed:
            continue
        if opened and (not closed or opened[-1] > closed[-1].start()):
            if cut and (closed or not text[place.start : opened[0]].strip()):
                return AnswerPlace(place.end, place.end, cut_in_reasoning=True)
            continue  # spoken of, not used
        start = _skip_space(text, closed[-1].end())
        if start < place.end:
            return AnswerPlace(start, place.end)
        return _find_before_last(text, place, opened, [hit.span() for hit in closed])
    return place


def _find_before_last(
    text: str, place: AnswerPlace, opened: list[int], closed: list[tuple[int, int]]
) -> AnswerPlace:
    """The last text that stands before a block, where nothing stands behind them all."""
    ends = [place.start, *(end for _, end in closed[:-1])]
    for left, (close, _) in zip(reversed(ends), reversed(closed), strict=True):
        right = next((start for start in opened if left <= start < close), left)
        if part := text[left:right].rstrip():
            start = _skip_space(text, left)
            return AnswerPlace(start, start + len(part.lstrip()))
    return AnswerPlace(place.end, place.end)


def _skip_space(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start
