"""The ledger: every issue across the rounds, a cell a round, so that it is read at a glance."""

from __future__ import annotations

from dataclasses import dataclass

from residency.nouns.verdict import Verdict
from residency.results.issue_results import IssueResult
from residency.results.run_results import RunResults
from residency.results.score_figures import THIN_COVERAGE


@dataclass(frozen=True)
class LedgerCell:
    """An issue after one round: its failure rate and what is said of it.

    ``thin``: so many items could not be scored that the rate says little. ``status`` is empty in
    the issue's first round (``rate`` is then of the model that showed it).
    """

    rate: float | None
    status: str
    count: int
    thin: bool
    verdict: Verdict | None


@dataclass(frozen=True)
class LedgerRow:
    """An issue and its cells by round; ``confirmed`` is the cell of the sealed test."""

    result: IssueResult
    cells: dict[int, LedgerCell]
    confirmed: LedgerCell | None


def list_ledger_rounds(results: RunResults) -> list[int]:
    """Rounds that a ledger has columns for; 0 is the prompted base."""
    judged = {verdict.round for issue in results.issues for verdict in issue.verdicts}
    first_rounds = {issue.issue.found_round for issue in results.issues}
    return sorted(judged | first_rounds)


def list_ledger_rows(results: RunResults) -> list[LedgerRow]:
    """A row an issue, in the order of the issues."""
    return [
        LedgerRow(
            issue,
            _cells_of(issue),
            _make_cell(issue.confirmed, "after") if issue.confirmed else None,
        )
        for issue in results.issues
    ]


def _cells_of(issue: IssueResult) -> dict[int, LedgerCell]:
    cells = {verdict.round: _make_cell(verdict, "after") for verdict in issue.verdicts}
    found_round = issue.issue.found_round
    if found_round not in cells and issue.verdicts:
        first = _make_cell(issue.verdicts[0], "before")
        cells[found_round] = LedgerCell(first.rate, "", first.count, first.thin, None)
    elif found_round not in cells and issue.expected is not None:
        cells[found_round] = LedgerCell(issue.expected.rate, "", issue.expected.n, False, None)
    return cells


def _make_cell(verdict: Verdict, side: str) -> LedgerCell:
    items = verdict.n + verdict.unscored
    rate = verdict.after_rate if side == "after" else verdict.before_rate
    return LedgerCell(
        rate=rate if verdict.n else None,
        status=verdict.status,
        count=verdict.n,
        thin=bool(items) and verdict.n / items < THIN_COVERAGE,
        verdict=verdict,
    )
