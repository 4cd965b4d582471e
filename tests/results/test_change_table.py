"""Changes of many issues from one reading are those that the store counts issue by issue."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from residency.nouns.issue import Slice
from residency.results.change_table import ChangeTables
from residency.results.issue_items import find_changes
from residency.results.run_results import RunResults
from residency.store.store import Store


@pytest.mark.parametrize("most", [1, 2, 5, 100])
def test_one_reading_says_what_each_issues_own_pages_say(finished_run: Path, most: int) -> None:
    store = Store(finished_run, create=False)
    results = RunResults(store)
    answers = results.answers
    tables = ChangeTables(answers)
    tags = sorted({tag for tags in answers.tags("dev").values() for tag in tags})
    some = tuple(list(answers.positions("dev"))[1::3])
    checked = 0
    for result in results.issues:
        for own in (Slice(), *(Slice("tag", tag) for tag in tags), Slice("words", "w", some)):
            asked = replace(result, issue=replace(result.issue, slice=own))
            assert tables.find_changes(asked, most) == find_changes(answers, asked, most)
            checked += 1
    store.close()
    assert checked >= 4
