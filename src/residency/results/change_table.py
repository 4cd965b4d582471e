"""All items that two models answered, read once, for the changes of many issues.

Answers fail the same few combinations of checks over and over: what a combination means for an issue is
worked out once, and then looked up for all items together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from residency.nouns.issue import Issue, Slice
from residency.results.check_combinations import Combination, parse_combination
from residency.results.issue_items import (
    CHANGES,
    Change,
    ItemChange,
    choose_changes,
    find_changes,
    find_members,
    read_combination,
)
from residency.results.issue_results import IssueResult
from residency.results.judged_answers import JudgedAnswers
from residency.store.item_pages import WrittenNumbers

_SHOWN: tuple[Change, ...] = ("fixed", "still failing", "broken")


@dataclass(frozen=True)
class ChangeTable:
    """Items in the order of the data.

    Attributes:
        items: example, earlier and later response (ids). places: example → its row.
        combinations: the different sets of check numbers. codes: each item's combination.
    """

    items: list[tuple[str, str, str]]
    places: dict[str, int]
    combinations: list[Combination]
    codes: np.ndarray


class ChangeTables:
    """Changes of issues, from one reading of each pair of models."""

    def __init__(self, answers: JudgedAnswers) -> None:
        self._answers = answers
        self._tables: dict[tuple[str, str], ChangeTable] = {}
        self._members: dict[Slice, set[str] | None] = {}

    def find_changes(
        self, result: IssueResult, most: int
    ) -> tuple[list[ItemChange], dict[Change, int]]:
        """As ``issue_items.find_changes``: a few items that tell an issue's story, and all counted."""
        issue = result.issue
        before, after = result.compared_models
        if not self._answers.has_one_answer(before, after):
            return find_changes(self._answers, result, most)
        table = self._table(before, after)
        numbers = self._answers.number_checks(issue.kind, issue.detector)
        read = [read_combination(combination, numbers) for combination in table.combinations]
        rows = self._slice_rows(table, issue)
        codes = table.codes[rows]
        totals = np.bincount(codes, minlength=len(read))
        counts: Counter[Change] = Counter()
        for (change, _), total in zip(read, totals, strict=True):
            counts[change] += int(total)
        changes: list[ItemChange] = []
        for change in _SHOWN:
            changes += self._take(table, rows, codes, read, change, most)
        return choose_changes(changes, most), {c: counts[c] for c in CHANGES if counts[c]}

    def _slice_rows(self, table: ChangeTable, issue: Issue) -> np.ndarray:
        """Rows of the issue's slice; several issues share one, whose items are read once."""
        if issue.slice not in self._members:
            self._members[issue.slice] = find_members(self._answers, issue)
        members = self._members[issue.slice]
        if members is None:
            return np.arange(len(table.items))
        return np.array(sorted(table.places[m] for m in members if m in table.places), int)

    def _table(self, before: str, after: str) -> ChangeTable:
        key = (before, after)
        if key not in self._tables:
            items: list[tuple[str, str, str]] = []
            codes: list[int] = []
            known: dict[WrittenNumbers, int] = {}
            item_filter = self._answers.make_item_filter("dev")
            for example, old, new, written in self._answers.store.paired_outcomes(
                item_filter, *key
            ):
                items.append((example, old, new))
                codes.append(known.setdefault(written, len(known)))
            places = {item[0]: position for position, item in enumerate(items)}
            combinations = [parse_combination(written) for written in known]
            self._tables[key] = ChangeTable(items, places, combinations, np.array(codes, int))
        return self._tables[key]

    @staticmethod
    def _take(
        table: ChangeTable,
        rows: np.ndarray,
        codes: np.ndarray,
        read: Sequence[tuple[Change, int]],
        change: Change,
        most: int,
    ) -> list[ItemChange]:
        """The first items that changed so, wholly right later answers first."""
        changes: list[ItemChange] = []
        for is_right in (True, False):
            wanted = np.array([c == change and (o == 0) == is_right for c, o in read], bool)
            if not len(codes) or not wanted.any():
                continue
            for position in np.nonzero(wanted[codes])[0][: most - len(changes)]:
                example, old, new = table.items[rows[position]]
                changes.append(ItemChange(example, change, old, new, read[codes[position]][1]))
        return changes
