"""Semantic entropy and self-consistency over samples."""

from __future__ import annotations

import math

import pytest

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.run_detectors import run_detectors
from residency.diagnose.semantic_entropy import (
    cluster_meanings,
    semantic_entropy,
    unsupported_sentences,
)
from residency.embedding.wordllama import WordLlamaEmbedder
from residency.nouns.example import Example, Message
from residency.nouns.finding import Finding
from residency.nouns.response import Response

SAME = [
    "The lighthouse was built in the harbour of Dover.",
    "In the harbour of Dover the lighthouse was built.",
    "The lighthouse was built in the harbour of Dover.",
]
OTHER = "Penguins mostly eat small fish and krill."


@pytest.fixture(scope="module")
def embedder() -> WordLlamaEmbedder:
    return WordLlamaEmbedder()


def test_texts_of_one_meaning_share_a_cluster(embedder: WordLlamaEmbedder) -> None:
    assert cluster_meanings([*SAME, OTHER], embedder, 0.75) == [0, 0, 0, 1]
    ticket = (
        "product: kettle\norder: 12\nreply: We are very sorry about your kettle, dear customer."
    )
    polite = ticket.replace("We are very sorry", "Please accept our apologies")
    wrong = ticket.replace("12", "13")
    assert cluster_meanings([ticket, polite, wrong], embedder, 0.75) == [0, 0, 1]


def test_entropy_is_zero_for_one_meaning_and_largest_when_all_differ() -> None:
    assert semantic_entropy([0, 0, 0, 0]) == 0
    assert semantic_entropy([0, 1, 2, 3]) == pytest.approx(math.log(4))
    assert semantic_entropy([0, 0, 0, 1]) < semantic_entropy([0, 0, 1, 1])


def test_a_sentence_that_no_other_sample_says_is_marked(embedder: WordLlamaEmbedder) -> None:
    text = f"{SAME[0]} {OTHER}"
    spans = unsupported_sentences(text, SAME, embedder, 0.75)
    assert [text[s.start : s.end] for s in spans] == [OTHER]
    assert unsupported_sentences(text, [], embedder, 0.75) == []


def run(texts: list[str], embedder: WordLlamaEmbedder) -> list[Finding]:
    example = Example((Message("user", "Where does it stand?"),), split="dev")
    responses = [Response("m", example.id, text, sample=k) for k, text in enumerate(texts)]
    return run_detectors(
        [example], responses, known_words=set(), embedder=embedder, config=DiagnoseConfig(),
        max_new_tokens=64, names=["hallucination"],
    )  # fmt: skip


def test_without_a_source_three_samples_judge_one_another(embedder: WordLlamaEmbedder) -> None:
    assert [f.status for f in run([*SAME, OTHER], embedder)] == ["pass", "pass", "pass", "fail"]
    assert {f.status for f in run(SAME[:2], embedder)} == {"unscored"}


def test_confident_errors_escape_self_consistency(embedder: WordLlamaEmbedder) -> None:
    assert {f.status for f in run([OTHER] * 4, embedder)} == {"pass"}
