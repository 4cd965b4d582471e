"""An issue's items before and after: which changed, and a page of them with texts and evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.issue import Issue
from residency.nouns.response import Response
from residency.results.check_combinations import Combination, Numbers
from residency.results.issue_results import IssueResult
from residency.results.judged_answers import JudgedAnswers
from residency.store.item_filter import CheckNumbers

Change = Literal["fixed", "still failing", "broken", "passing", "unscored"]
CHANGES: tuple[Change, ...] = ("fixed", "still failing", "broken", "passing", "unscored")
"""In the order in which they are shown."""
RAREST = 50
"""One of so many items at least must have changed alike; then walking on fills a page of them."""


class ItemChange(NamedTuple):
    """An item of an issue: what became of it, and the two answers that show it (response ids).

    ``other_failures`` counts checks that the second answer fails beside this issue.
    """

    example: str
    change: Change
    before: str
    after: str
    other_failures: int


@dataclass(frozen=True)
class Sample:
    """An item with both answers and every check that each fails, that of the issue first."""

    example: Example
    change: Change
    before: Response
    after: Response
    before_findings: list[Finding]
    after_findings: list[Finding]


def list_changes(answers: JudgedAnswers, result: IssueResult) -> list[ItemChange]:
    """Every dev item of the issue's slice that both models answered.

    Mended ones come first, of them those whose answer is wholly right; then what still fails.
    """
    issue = result.issue
    before, after = result.compared_models
    then = answers.item_failures(before, "dev", issue.kind, issue.detector)
    now = answers.item_failures(after, "dev", issue.kind, issue.detector)
    issue_checks = answers.numbers_of(issue.kind, issue.detector, "fail")
    members = find_members(answers, issue)
    other_failures: dict[
        int, int
    ] = {}  # answers share tuples of check numbers: each is counted once
    ordered: dict[tuple[int, bool], list[ItemChange]] = {}
    rank = {change: number for number, change in enumerate(CHANGES)}
    for example in answers.positions("dev"):
        if example not in then or example not in now:
            continue
        if members is not None and example not in members:
            continue
        (was, old), (bad, new) = then[example], now[example]
        others = other_failures.get(id(new.failed))
        if others is None:
            others = other_failures[id(new.failed)] = sum(n not in issue_checks for n in new.failed)
        change = name_change(was, bad)
        item = ItemChange(example, change, old.response, new.response, others)
        ordered.setdefault((rank[change], others > 0), []).append(item)
    return [item for key in sorted(ordered) for item in ordered[key]]


@dataclass(frozen=True)
class ChangePage:
    """Some of an issue's items, and all of them counted.

    ``total`` fit the filter; ``right`` are those that were fixed and fail nothing else.
    """

    rows: list[ItemChange]
    total: int
    counts: dict[Change, int]
    right: int


def page_changes(
    answers: JudgedAnswers, result: IssueResult, *, change: str = "", offset: int = 0, limit: int
) -> ChangePage:
    """A page of ``list_changes``, cut and counted by the database where it can.

    Args:
        change: only items that changed so.
    """
    issue = result.issue
    before, after = result.compared_models
    numbers = answers.number_checks(issue.kind, issue.detector)
    if not numbers.are_few or not answers.has_one_answer(before, after):
        return _page_in_memory(list_changes(answers, result), change, offset, limit)
    by = issue.slice.by
    item_filter = answers.make_item_filter(
        "dev",
        tag=issue.slice.value if by == "tag" else "",
        members=None if by in ("all", "tag") else issue.slice.members,
    )
    counted: Counter[tuple[int, bool]] = Counter()
    for combination, n in answers.count_combinations(item_filter, before, after):
        became, others = read_combination(combination, numbers)
        counted[CHANGES.index(became), others > 0] += n
    counts: dict[Change, int] = {}
    for number, name in enumerate(CHANGES):
        if count := counted[number, False] + counted[number, True]:
            counts[name] = count
    if change and change not in counts:
        return ChangePage([], 0, counts, counted[0, False])
    wanted = next((n for n, name in enumerate(CHANGES) if name == change), None)
    alike, skipped = _find_alike(counted, wanted, offset, limit)
    chosen, fails_other = alike or (wanted, None)
    rows = answers.store.issue_page(
        item_filter,
        before,
        after,
        numbers,
        change=chosen,
        fails_other=fails_other,
        offset=offset - skipped,
        limit=limit,
    )
    return ChangePage(
        rows=[ItemChange(r.example, CHANGES[r.change], *r[2:]) for r in rows],
        total=sum(n for name, n in counts.items() if change in ("", name)),
        counts=counts,
        right=counted[0, False],
    )


def _find_alike(
    counted: Mapping[tuple[int, bool], int], wanted: int | None, offset: int, limit: int
) -> tuple[tuple[int, bool] | None, int]:
    """Where a whole page lies among items that changed alike: which, and how many come before them.

    Such a page is read without sorting all others, unless those items are so rare that looking for
    them takes as long.
    """
    before = 0
    for key in sorted(key for key, n in counted.items() if n):
        if wanted is not None and key[0] != wanted:
            continue
        if offset < before + counted[key]:
            is_whole = offset + limit <= before + counted[key]
            is_common = counted[key] * RAREST >= sum(counted.values())
            return (key, before) if is_whole and is_common else (None, 0)
        before += counted[key]
    return None, 0


def _page_in_memory(
    changes: Sequence[ItemChange], change: str, offset: int, limit: int
) -> ChangePage:
    fitting = [item for item in changes if change in ("", item.change)]
    right = sum(item.change == "fixed" and not item.other_failures for item in changes)
    return ChangePage(fitting[offset : offset + limit], len(fitting), count_changes(changes), right)


def name_change(before: bool | None, after: bool | None) -> Change:
    """What became of an item that failed (True), passed (False) or could not be scored (None)."""
    if before is None or after is None:
        return "unscored"
    if before:
        return "still failing" if after else "fixed"
    return "broken" if after else "passing"


def read_combination(combination: Combination, numbers: CheckNumbers) -> tuple[Change, int]:
    """What became of an issue's items with these checks, and how many others the later answer fails."""
    failed, passed, now_failed, now_passed = combination

    def fails(bad: Numbers, good: Numbers) -> bool | None:
        if not bad.isdisjoint(numbers.failed):
            return True
        return None if good.isdisjoint(numbers.passed) else False

    change = name_change(fails(failed, passed), fails(now_failed, now_passed))
    return change, len(now_failed - numbers.failed)


def count_changes(changes: Sequence[ItemChange]) -> dict[Change, int]:
    """How many items changed in which way."""
    counts = Counter(item.change for item in changes)
    return {change: counts[change] for change in CHANGES if counts[change]}


def find_changes(
    answers: JudgedAnswers, result: IssueResult, most: int
) -> tuple[list[ItemChange], dict[Change, int]]:
    """A few items that tell an issue's story (``choose_changes``), and how many changed in which way."""
    page = page_changes(answers, result, change="fixed", limit=most)
    changes = list(page.rows)
    for change in ("still failing", "broken"):
        if change in page.counts:
            changes += page_changes(answers, result, change=change, limit=most).rows
    return choose_changes(changes, most), page.counts


def choose_changes(changes: Sequence[ItemChange], most: int) -> list[ItemChange]:
    """Items that tell an issue's story: mended ones first, but never without one that still
    fails or broke, where there is one."""
    fixed = [item for item in changes if item.change == "fixed"]
    bad = [item for item in changes if item.change in ("still failing", "broken")]
    if not bad:
        return fixed[:most]
    first = fixed[: most - 1]
    return [*first, *bad[: most - len(first)]]


def load_samples(
    answers: JudgedAnswers, issue: Issue, changes: Sequence[ItemChange]
) -> list[Sample]:
    """The texts and the evidence of some items."""
    return load_samples_of_issues(answers, [(issue, changes)])[0]


def load_samples_of_issues(
    answers: JudgedAnswers, chosen: Sequence[tuple[Issue, Sequence[ItemChange]]]
) -> list[list[Sample]]:
    """The same for items of several issues, whose texts and evidence are read together."""
    items = [item for _, changes in chosen for item in changes]
    examples = {e.id: e for e in answers.examples([item.example for item in items])}
    responses = answers.responses({key for item in items for key in (item.before, item.after)})
    findings = answers.findings(list(responses.values()))

    def failures(issue: Issue, response: str) -> list[Finding]:
        failed = [f for f in findings[response] if f.status == "fail"]
        issue_key = (issue.kind, issue.detector)
        return sorted(failed, key=lambda finding: (finding.kind, finding.detector) != issue_key)

    return [
        [
            Sample(
                example=examples[item.example],
                change=item.change,
                before=responses[item.before],
                after=responses[item.after],
                before_findings=failures(issue, item.before),
                after_findings=failures(issue, item.after),
            )
            for item in changes
        ]
        for issue, changes in chosen
    ]


def find_members(answers: JudgedAnswers, issue: Issue) -> set[str] | None:
    """Dev items of the issue's slice; None for all."""
    if issue.slice.by == "all":
        return None
    if issue.slice.by != "tag":
        return set(issue.slice.members)
    return set(
        answers.store.list_example_ids(answers.make_item_filter("dev", tag=issue.slice.value))
    )
