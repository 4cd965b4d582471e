"""``residency diagnose``: errors and issues in stored answers."""

from __future__ import annotations

from dataclasses import dataclass

from residency.diagnose.find_issues import find_issues
from residency.loop.assess import assess_stored_answers
from residency.loop.item_outcomes import find_issue_outcomes
from residency.nouns.finding import Finding
from residency.nouns.issue import Issue
from residency.nouns.model import Model
from residency.nouns.short_view import ShortView
from residency.project.dev_split import split_dev
from residency.project.named_models import find_model
from residency.project.workspace import Workspace
from residency.text.counts import write_count


@dataclass(frozen=True, repr=False)
class Diagnosis(ShortView):
    """Findings of a model on dev, the issues that its finding half shows, and each issue's failures."""

    model: Model
    findings: list[Finding]
    issues: list[Issue]
    failing: dict[str, list[str]]

    def describe(self) -> str:
        """The issues and how many items fail each, in a sentence."""
        if not self.issues:
            return "No issue was found."
        issues = [f"{i.title or i.kind} ({len(self.failing[i.id])})" for i in self.issues]
        return f"{write_count(len(issues), 'issue')}, with failing items: {', '.join(issues)}."


def diagnose(ws: Workspace, name: str) -> Diagnosis:
    """Run the detectors again on stored dev answers and group failures into issues."""
    assessed = assess_stored_answers(ws, find_model(ws, name), "dev")
    half, _ = split_dev(ws)
    issues = find_issues(
        assessed.examples,
        assessed.findings,
        assessed.responses,
        half=half,
        model=assessed.model.id,
        round=assessed.model.round,
        config=ws.config.diagnose,
        known=[],
        slices=ws.slices,
        how=ws.config.evaluate.reduce,
    )
    failing = {
        issue.id: [key for key, bad in find_issue_outcomes(issue, assessed).items() if bad]
        for issue in issues
    }
    return Diagnosis(assessed.model, assessed.findings, issues, failing)
