"""What the jobs of a sweep gave, graded: answers and models stored, outcomes item by item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from residency.diagnose.find_issues import find_issues
from residency.jobs.job import JobResult
from residency.jobs.job_store import JobStore
from residency.jobs.job_workspace import read_answers
from residency.loop.assess import Assessment, assess_answers
from residency.loop.item_outcomes import find_issue_outcomes
from residency.nouns.issue import Issue
from residency.nouns.model import Model
from residency.project.dev_split import split_dev
from residency.project.workspace import Workspace
from residency.results.kinds import issue_title
from residency.sweep.cell import Cell


@dataclass(frozen=True)
class Measured:
    """A training, or a bare base under some prompting, with its answers assessed.

    Attributes:
        name: of the variant or way. cell: None for a bare base. value: the job's figures.
    """

    name: str
    cell: Cell | None
    value: dict[str, Any]
    assessed: Assessment

    @property
    def rows(self) -> int:
        """Rows that it was trained on."""
        return self.cell.rows if self.cell else 0


@dataclass
class MeasuredCells:
    """Collects results of jobs. Writes to the project's store, whose lock the caller holds."""

    ws: Workspace
    store: JobStore
    all: list[Measured] = field(default_factory=list)

    def add(self, name: str, cell: Cell | None, result: JobResult) -> None:
        """Store a job's model and answers, and assess them."""
        model = Model(**result.value["model"])
        if not self.ws.store.has_model(model.id):
            self.ws.store.add_model(model)
        answers = read_answers(self.store.open_folder(result.artifact))
        self.ws.store.add_responses(answers)
        assessed = assess_answers(self.ws, model, self.ws.split("dev"), answers)
        self.all.append(Measured(name, cell, result.value, assessed))

    @property
    def halves(self) -> tuple[set[str], set[str]]:
        """Ids of the items that find issues, and of those that measure them."""
        return split_dev(self.ws)

    def find_known_issues(self, run: str) -> list[Issue]:
        """The issues of the run; without any, those that bare bases and first trainings show.

        They are looked for in the items that find, and measured on the others.
        """
        known = self.ws.store.issues(run)
        if known:
            return known
        finding, _ = self.halves
        for measured in self._list_searched():
            new_issues = find_issues(
                measured.assessed.examples,
                measured.assessed.findings,
                measured.assessed.responses,
                half=finding,
                model=measured.assessed.model.id,
                round=0,
                config=self.ws.config.diagnose,
                known=known,
                slices=self.ws.slices,
                how=self.ws.config.evaluate.reduce,
            )
            known += new_issues
        return list({issue.id: issue for issue in known}.values())

    def _list_searched(self) -> list[Measured]:
        """Bare bases, then of each variant the first training on its most rows."""
        largest: dict[str, Measured] = {}
        for measured in self.all:
            if measured.cell is not None and measured.cell.repeat == 0:
                other = largest.get(measured.name)
                if other is None or measured.rows > other.rows:
                    largest[measured.name] = measured
        return [*(m for m in self.all if m.cell is None), *largest.values()]


def score_items(measured: Measured, half: set[str]) -> dict[str, float | None]:
    """The primary metric of each measuring item; None where it could not be judged."""
    scores = measured.assessed.scores
    by_example = scores.primary.by_example if scores.primary else scores.by_example
    return {item: value for item, value in by_example.items() if item in half}


def fail_items(issue: Issue, measured: Measured, half: set[str]) -> dict[str, float | None]:
    """1 for each measuring item of the issue's slice that fails, 0 for one that does not."""
    return {
        item: None if failed is None else float(failed)
        for item, failed in find_issue_outcomes(issue, measured.assessed).items()
        if item in half
    }


def retitle(issues: Sequence[Issue]) -> list[Issue]:
    """The issues, each with a title in words."""
    return [replace(issue, title=issue_title(issue)) for issue in issues]
