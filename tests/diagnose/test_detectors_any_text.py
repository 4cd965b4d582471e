"""Whatever a model writes, detectors answer, point inside the text, and do not take forever."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.detectors.registry import DETECTORS
from residency.diagnose.run_detectors import run_detectors
from residency.embedding.wordllama import WordLlamaEmbedder
from residency.nouns.example import Example, Message
from residency.nouns.response import Response

PIECES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "product: kettle\n",
            "order: ",
            "Dear Zara,",
            "```",
            "`x",
            "http://",
            "a@b.c",
            " " * 50,
            "12,5",
            "١٢",
            "日本語です",
            "🙂" * 9,
            "sorry " * 9,
            "\x00",
            "\u2028",
            "’s",
            "| a | b |\n",
        ]
    ),
)
TEXT = st.lists(PIECES, max_size=12).map("".join)


@pytest.fixture(scope="module")
def embedder() -> WordLlamaEmbedder:
    return WordLlamaEmbedder()


def run(prompt: str, reference: str, texts: list[str], embedder: WordLlamaEmbedder):  # type: ignore[no-untyped-def]
    example = Example(
        (Message("user", "Write.", input=prompt), Message("assistant", reference)), split="dev"
    )
    responses = [Response("m", example.id, text, sample=k) for k, text in enumerate(texts)]
    return responses, run_detectors(
        [example], responses, known_words=set(), embedder=embedder, config=DiagnoseConfig(),
        max_new_tokens=64, label_values={"order": {"a"}},
    )  # fmt: skip


@settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(prompt=TEXT, reference=TEXT, texts=st.lists(TEXT, min_size=1, max_size=3))
def test_any_text_is_answered(prompt: str, reference: str, texts: list[str], embedder) -> None:  # type: ignore[no-untyped-def]
    responses, findings = run(prompt, reference, texts, embedder)
    by_id = {r.id: r.text for r in responses}
    assert len(findings) == len(responses) * len(DETECTORS)
    for found in findings:
        assert found.status in ("pass", "fail", "unscored")
        assert 0 <= found.severity <= 1
        for span in found.spans:
            assert 0 <= span.start <= span.end <= len(by_id[found.response])


@pytest.mark.parametrize(
    "text",
    ["Q" * 20_000, " " * 20_000 + "x", "a." * 8_000, "key:" + " " * 15_000 + "v\nk: w", "/" * 15_000,
     "word " * 4_000, "\n" * 15_000, "a@" * 8_000],
)  # fmt: skip
def test_long_odd_texts_do_not_hang(text: str, embedder: WordLlamaEmbedder) -> None:
    # A thread's own time: what other threads spin on a busy machine is not ours. A pattern that
    # backtracks takes minutes on these texts, a sound one milliseconds.
    start = time.thread_time()
    run("A message.", "product: kettle\norder: none", [text], embedder)
    assert time.thread_time() - start < 30


CHINESE = "北京是中华人民共和国的首都，位于华北平原北部，是全国的政治、文化中心。"
JAPANESE = "東京は日本の首都であり、人口が最も多い都市です。多くの企業や大学がここにあります。"
THAI = "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทยและเป็นเมืองที่มีประชากรมากที่สุด"


@pytest.mark.parametrize("text", [CHINESE, JAPANESE, THAI])
def test_a_loop_is_seen_in_scripts_without_spaces(text: str, embedder: WordLlamaEmbedder) -> None:
    once, loop, spaced = text, text * 4, f"{text} " * 4
    found = [
        finding.status
        for answer in (once, loop, spaced)
        for finding in run("x", "", [answer], embedder)[1]
        if finding.detector == "repetition"
    ]
    assert found == ["pass", "fail", "fail"]


@pytest.mark.parametrize(
    ("text", "misspelt"),
    [
        ("I will send teh form and you can sign it tomorrow.", ["teh"]),
        ("I RECIEVED THE PACKAGE YESTERDAY AND IT WAS DAMAGED.", ["RECIEVED"]),
        ("We dont think that it works, but we shall see.", ["dont"]),
        ("The NASA and the OECD met the WTO in a hotel.", []),
        ("THE NEW OFFICE OPENS IN MARCH, AND EVERYBODY IS INVITED.", []),
    ],
)
def test_short_capital_and_contracted_words_are_checked(
    text: str, misspelt: list[str], embedder: WordLlamaEmbedder
) -> None:
    prompt = "Please answer the message of a customer in some plain words."
    (finding,) = [
        finding
        for finding in run(prompt, "", [text], embedder)[1]
        if finding.detector == "misspelling"
    ]
    assert [text[span.start : span.end] for span in finding.spans] == misspelt
