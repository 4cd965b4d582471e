"""Two detectors that find the same failure are told apart."""

from __future__ import annotations

from pathlib import Path

from report_project import RUN, build
from residency.report import Evidence
from residency.types import Issue, Slice


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
