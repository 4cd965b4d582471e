"""What of a response is judged: its text without reasoning, or the part that a suite extracts.

A response is stored as the model wrote it. Rules, detectors and judges read this part of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.text.reasoning import find_answer

READING = 4
"""Version of what is read as an answer; stored findings of another one are not reused."""


@dataclass(frozen=True)
class ExtractedText:
    """Characters ``start:end`` of a text, and what they say (a JSON string without its escapes)."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class JudgedAnswer:
    """One response and the characters ``start:end`` of its text that are judged.

    ``extracted_text`` is what they say where that is not the characters themselves; ``wanted`` is the part of
    the example's reference that they are compared with, where it is not the whole.
    """

    example: Example
    response: Response
    start: int
    end: int
    extracted_text: str | None = None
    wanted: str | None = None

    @cached_property
    def text(self) -> str:
        """The text that is judged."""
        return (
            self.response.text[self.start : self.end]
            if self.extracted_text is None
            else self.extracted_text
        )

    @property
    def reference(self) -> str | None:
        """The text that it is compared with."""
        return self.example.reference if self.wanted is None else self.wanted


def judge_answer(
    example: Example, response: Response, *, keep_reasoning: bool = False
) -> JudgedAnswer:
    """A response with what of it is judged; the whole of it where reasoning stays in.

    A reference that reasons is read like the answer: what is compared follows the reasoning.
    """
    if keep_reasoning:
        return JudgedAnswer(example, response, 0, len(response.text))
    answer = find_answer(response.text, cut=response.finish == "length")
    wanted = example.reference
    if wanted is not None:
        wanted_answer = find_answer(wanted)
        wanted = wanted[wanted_answer.start : wanted_answer.end]
    return JudgedAnswer(example, response, answer.start, answer.end, wanted=wanted)


def answer_without_reasoning(response: Response) -> str:
    """The text of a response that people and judges compare: what follows the reasoning."""
    answer = find_answer(response.text, cut=response.finish == "length")
    return response.text[answer.start : answer.end]


def view_without_reasoning(response: Response) -> Response:
    """The response as detectors read it: its reasoning left out, its id and tokens unchanged."""
    answer = find_answer(response.text, cut=response.finish == "length")
    if (answer.start, answer.end) == (0, len(response.text)):
        return response
    view = dataclasses.replace(response, text=response.text[answer.start : answer.end])
    view.__dict__["id"] = response.id  # a view of the same response, not another one
    return view


def shift_spans(findings: Iterable[Finding], responses: Sequence[Response]) -> list[Finding]:
    """Findings about views with the places of their evidence in the whole responses."""
    offsets: Mapping[str, int] = {
        r.id: find_answer(r.text, cut=r.finish == "length").start for r in responses
    }
    shifted = []
    for finding in findings:
        offset = offsets.get(finding.response, 0)
        if offset and finding.spans:
            spans = tuple(
                dataclasses.replace(s, start=s.start + offset, end=s.end + offset)
                for s in finding.spans
            )
            finding = dataclasses.replace(finding, spans=spans)
        shifted.append(finding)
    return shifted
