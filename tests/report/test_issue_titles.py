"""Issues in the report: titles told apart, and the sample that failed is the one shown."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from report_project import RUN, build
from residency.nouns.issue import Issue, Slice
from residency.results.headline import what_changed
from residency.results.run_evidence import Evidence


def test_titles_are_unique(tmp_path: Path) -> None:
    store = build(tmp_path)
    first = store.issues(RUN)[0]
    twin = Issue(first.kind, Slice(), "another", "1", 0.1, 0, first.reference_model, first.kind)
    same = Issue(first.kind, Slice(), "suite:x", "1", 0.1, 0, first.reference_model, first.kind)
    store.add_issues(RUN, [twin, same])
    titles = [view.title for view in Evidence(store).issues]
    store.close()
    assert len(set(titles)) == len(titles)
    assert any(title.endswith("(another)") for title in titles)


def test_of_several_answers_the_failing_one_is_shown(tmp_path: Path) -> None:
    store = build(tmp_path)
    view = Evidence(store).issues[0]
    sample = next(s for s in Evidence(store).samples(view) if s.change == "fixed")
    again = dataclasses.replace(sample.after, sample=1, text=sample.after.text + " again")
    assert sample.after_finding is not None
    failed = dataclasses.replace(sample.after_finding, response=again.id, status="fail")
    store.add_responses([again])
    store.add_findings("scope-dev", [failed])
    found = {s.example.id: s for s in Evidence(store).samples(view)}[sample.example.id]
    store.close()
    assert found.after.id == again.id
    assert found.change == "still failing"


def test_a_fall_that_does_not_stand_in_its_family_is_not_told_as_one_that_does() -> None:
    firm = {"kind": "overlong", "before_rate": 0.5, "after_rate": 0.1, "status": "improved"}
    weak = {"kind": "repetition", "before_rate": 0.2, "after_rate": 0.1, "status": "persisting"}
    told = what_changed([firm, weak], [{**weak, "kind": "hallucination"}])
    first, second, third = (line.replace("\N{NO-BREAK SPACE}", " ") for line in told)
    assert first == "Failures that fell on the sealed test: overlong 50 % → 10 %."
    assert "repetition 20 % → 10 %" in second
    assert "not when everything" in second
    assert third.startswith("Failures that rose by their own 95 % interval, but not when")
    assert what_changed([], []) == []
