"""An issue with all that is known about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from residency.nouns.issue import Issue
from residency.nouns.proposal import Proposal
from residency.nouns.verdict import Verdict
from residency.results.figures import Expectation, IssueArms
from residency.results.kinds import issue_title


@dataclass(frozen=True)
class IssueResult:
    """An issue with its story.

    ``verdicts`` are those on dev by round, ``confirmed`` the one on the sealed test,
    ``expected`` what could be shown before training, ``arms`` the comparison of targeted with
    random rows by round, ``proposals`` the rows that it asked for. ``title`` names the detector too
    where two detectors found the same failure.
    """

    issue: Issue
    title: str
    verdicts: list[Verdict]
    confirmed: Verdict | None
    expected: Expectation | None
    arms: dict[int, IssueArms]
    proposals: list[Proposal]

    @property
    def latest(self) -> Verdict | None:
        """The last verdict on dev."""
        return self.verdicts[-1] if self.verdicts else None

    @property
    def status(self) -> str:
        """The last status on dev; ``open`` before the first verdict."""
        return self.verdicts[-1].status if self.verdicts else "open"

    @property
    def compared_models(self) -> tuple[str, str]:
        """The two models whose answers tell its story: of the last verdict, or the one it was
        found in twice."""
        latest, reference = self.latest, self.issue.reference_model
        if latest is None:
            return reference, reference
        return (latest.before if latest.before != latest.after else reference), latest.after


def join_issues(
    issues: Sequence[Issue],
    *,
    order: Sequence[str],
    verdicts: Sequence[Verdict],
    expected: Sequence[Expectation],
    arms: Mapping[int, Sequence[IssueArms]],
    proposals: Sequence[Proposal],
) -> list[IssueResult]:
    """Issues with what belongs to each, oldest round first, within it in ``order`` (of ids)."""
    position = {key: number for number, key in enumerate(order)}
    known = {row.issue: row for row in expected}
    ordered = sorted(issues, key=lambda i: (i.found_round, position.get(i.id, len(position))))
    titles = [issue_title(issue) for issue in ordered]
    return [
        IssueResult(
            issue=issue,
            title=f"{title} ({issue.detector})" if titles.count(title) > 1 else title,
            verdicts=[v for v in verdicts if v.issue == issue.id and v.split == "dev"],
            confirmed=next(
                (v for v in verdicts if v.issue == issue.id and v.split == "test"), None
            ),
            expected=known.get(issue.id),
            arms={
                number: row
                for number, rows in arms.items()
                for row in rows
                if row.issue == issue.id
            },
            proposals=[p for p in proposals if p.issue == issue.id],
        )
        for issue, title in zip(ordered, titles, strict=True)
    ]
