"""An issue with all that is known about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from residency.nouns.issue import Issue
from residency.nouns.verdict import Verdict
from residency.results.arm_figures import NoiseFloor
from residency.results.change_figures import Expectation, IssueArms
from residency.results.kinds import issue_title
from residency.stats.labelled_rate import LabelledRate


@dataclass(frozen=True)
class IssueResult:
    """An issue with its story.

    ``verdicts`` are those on dev by round, ``confirmed`` the one on the sealed test,
    ``expected`` what could be shown before training, ``arms`` the comparison of targeted with
    random rows by round, ``drawn`` how many rows for it passed the firewall (of the
    targeted arm), ``final`` the model that the
    sealed test judged, ``noise`` how far two trainings differ on it, ``labelled`` the final model's rate
    corrected by people's labels. ``title`` names the detector too
    where two detectors name the same failure.
    """

    issue: Issue
    title: str
    verdicts: list[Verdict]
    confirmed: Verdict | None
    expected: Expectation | None
    arms: dict[int, IssueArms]
    drawn: int
    final: str = ""
    noise: NoiseFloor | None = None
    labelled: LabelledRate | None = None

    @property
    def latest(self) -> Verdict | None:
        """The verdict on dev that speaks of the final model; the last one until that is known.

        None where the issue first showed after the final model was made, and is not judged on it.
        """
        verdicts = [v for v in self.verdicts if not self.final or v.after == self.final]
        return verdicts[-1] if verdicts else None

    @property
    def status(self) -> str:
        """The status of ``latest``; ``open`` before the first verdict, ``other model`` where only
        models that are not final were judged."""
        if self.latest is not None:
            return self.latest.status
        return "other model" if self.verdicts else "open"

    @property
    def compared_models(self) -> tuple[str, str]:
        """The two models whose answers tell its story: of the last verdict, or twice the
        one that showed it."""
        latest = self.latest or (self.verdicts[-1] if self.verdicts else None)
        reference = self.issue.reference_model
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
    drawn: Mapping[str, int],
    final: str = "",
    noise: Mapping[str, NoiseFloor] | None = None,
    labelled: Mapping[str, LabelledRate] | None = None,
) -> list[IssueResult]:
    """Issues with what belongs to each, oldest round first, within it in ``order`` (of ids).

    ``final`` is the model that statuses speak of, where it is known; ``noise`` and ``labelled`` are by issue.
    """
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
            drawn=drawn.get(issue.id, 0),
            final=final,
            noise=(noise or {}).get(issue.id),
            labelled=(labelled or {}).get(issue.id),
        )
        for issue, title in zip(ordered, titles, strict=True)
    ]
