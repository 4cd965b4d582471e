"""The offline classifier: the scores of the package that its weights come from, in English alone."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from residency.moderation.measure_moderation import load_labelled, measure_judge
from residency.moderation.offensive_words import OffensiveWordsJudge, score_offence


def test_scores_are_those_of_the_original() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its pickles may be of another scikit-learn
        predict = pytest.importorskip("profanity_check").predict_prob
    texts = [row.text for row in load_labelled()]
    texts += ["", " ", "shit shit shit, fuck", "ünïcödé naïve", "a b c", "the and of", "X" * 500]
    for text, theirs in zip(texts, predict(texts), strict=True):
        assert score_offence(text) == pytest.approx(float(theirs), abs=1e-6), text


@given(st.text())
def test_any_text_has_a_score(text: str) -> None:
    assert 0 <= score_offence(text) <= 1
    for hit in OffensiveWordsJudge(0.01).find(text):
        assert 0 <= hit.start < hit.end <= len(text)


@pytest.mark.parametrize(
    "text", ["Die Karte wurde doppelt belastet.", "Bitte schicken Sie die Rechnung an mich."]
)
def test_german_articles_are_no_threats(text: str) -> None:
    assert score_offence(text) > 0.5  # which is why such a sentence is not judged
    assert OffensiveWordsJudge(0.5).find(text) == []


def test_quality_is_what_a_person_counts() -> None:
    texts = [row for row in load_labelled() if row.language == "en"]
    quality = measure_judge(OffensiveWordsJudge(0.8), texts)
    assert quality.n == len(texts)
    assert quality.precision is not None and quality.precision >= 0.7
    assert quality.recall is not None and quality.recall >= 0.7
    low, high = quality.recall_bounds
    assert low < quality.recall < high
