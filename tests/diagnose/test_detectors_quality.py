"""Detectors are measured against labels, and their figures say how sure they are."""

from __future__ import annotations

import pytest

from residency.diagnose.detector_quality import detector_quality, load_labelled, measure_quality
from residency.diagnose.detectors.registry import DETECTORS
from residency.embedding.wordllama import WordLlamaEmbedder
from residency.nouns.finding import Finding


def test_every_detector_is_measured_on_the_packaged_labels() -> None:
    found = detector_quality(WordLlamaEmbedder())
    assert set(found) == set(DETECTORS)
    for name, measured in found.items():
        assert measured.version == DETECTORS[name].version
        assert measured.precision is not None and measured.precision >= 0.8, name
        assert measured.recall is not None and measured.recall >= 0.8, name


def test_the_labels_hold_errors_of_every_kind_and_hard_cases() -> None:
    _, responses, labels = load_labelled()
    for kind in DETECTORS:
        flagged = [labels[r.id, kind] for r in responses]
        assert sum(flagged) >= 6
        assert flagged.count(False) >= 6


def test_precision_and_recall_leave_out_what_has_no_label_or_no_score() -> None:
    def look(response: str, status: str) -> Finding:
        return Finding(response, "overlong", status, "overlong", "1")  # type: ignore[arg-type]

    findings = [look("a", "fail"), look("b", "fail"), look("c", "pass"), look("d", "unscored")]
    findings.append(look("e", "fail"))
    labels = {("a", "overlong"): True, ("b", "overlong"): False, ("c", "overlong"): True}
    labels["d", "overlong"] = True
    measured = measure_quality(findings, labels)["overlong"]
    assert (measured.n, measured.precision, measured.recall) == (3, 0.5, 0.5)
    assert measured.wrong == ("b", "c")
    assert measured.precision_bounds == pytest.approx((0.0126, 0.9874), abs=1e-3)
    assert (
        measure_quality([look("a", "pass")], {("a", "overlong"): False})["overlong"].precision
        is None
    )
