"""Sentences that a source does not carry, and such as deny it."""

from __future__ import annotations

import pytest

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.run_detectors import run_detectors
from residency.diagnose.sentence_support import find_unsupported
from residency.embedding.wordllama import WordLlamaEmbedder
from residency.nouns.example import Example, Message
from residency.nouns.response import Response

SOURCE = (
    "The harbour bridge was closed on Friday after engineers found rust in two of its cables. "
    "Buses are being sent through the old tunnel, and ferries will not run before the weekend. "
    "The council said that repairs should take about three weeks."
)


def unsupported(text: str, reference: str = "") -> list[str]:
    return [text[s.start : s.end].strip() for s in find_unsupported(text, SOURCE, reference)]


@pytest.mark.parametrize(
    "text",
    [
        "Engineers found rust in two cables, so the harbour bridge was closed.",
        "The bridge is closed. Ferries will not run before the weekend.",
        "Repairs take three weeks, said the council; buses go through the old tunnel.",
        "No ferries run before the weekend.",
        "Thank you!",
        "",
    ],
)
def test_what_the_source_says_is_supported_in_other_words_too(text: str) -> None:
    assert unsupported(text) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "Passengers complained loudly and demanded their money back.",
        "The harbour bridge was not closed after engineers found rust in two cables.",
        "Ferries will run before the weekend.",
        "Engineers never found rust in its cables.",
        "Engineers didn't find rust in two of its cables.",
    ],
)
def test_an_invented_and_a_denied_sentence_are_found_beside_right_ones(wrong: str) -> None:
    right = "Buses are being sent through the old tunnel."
    assert unsupported(f"{right} {wrong}") == [wrong]
    assert unsupported(f"{wrong} {right}", reference=right) == [wrong]


def test_a_task_whose_references_invent_is_not_judged_by_it() -> None:
    said, kind = (
        "The harbour bridge was closed on Friday.",
        "We understand how annoying this must feel.",
    )
    assert unsupported(f"{said} {kind}", said) == [kind]
    assert unsupported(f"{said} {kind}", f"{said} {kind}") == []
    other = "Sorry about all this trouble, dear passengers."
    assert unsupported(f"{said} {other}", f"{said} {kind}") == []


@pytest.mark.parametrize(
    "text", ["Die Hafenbrücke wurde gesperrt, Fähren fahren erst später.", "negative mood overall"]
)
def test_answers_that_are_not_made_of_the_source_are_left_alone(text: str) -> None:
    """A translation, a label: nothing of them can be looked for in the source."""
    assert unsupported(text) == []


def test_the_detector_marks_the_sentence_and_leaves_fields_alone() -> None:
    example = Example((Message("user", "Summarise.", input=SOURCE),))
    wrong = "Passengers complained loudly and demanded their money back."
    text = f"The harbour bridge was closed after engineers found rust. {wrong}"
    (finding,) = run_detectors(
        [example],
        [Response("m", example.id, text)],
        known_words=set(),
        embedder=WordLlamaEmbedder(),
        config=DiagnoseConfig(),
        max_new_tokens=99,
        names=["hallucination"],
    )
    assert finding.status == "fail"
    assert [text[span.start : span.end].strip() for span in finding.spans] == [wrong]
