"""The dev items answered by the exported file, and every issue graded again."""

from __future__ import annotations

from collections.abc import Sequence

from residency.export.proof import Consumer
from residency.loop.assess import Assessment, assess_answers
from residency.loop.item_outcomes import find_issue_outcomes, map_groups
from residency.loop.respond import respond
from residency.nouns.issue import Issue
from residency.nouns.issue_change import IssueChange
from residency.nouns.model import Model
from residency.project.named_models import ENDPOINT, ZERO_SHOT
from residency.project.workspace import Workspace
from residency.results.kinds import issue_title
from residency.stats.paired_outcomes import compare_paired


def answer_dev(
    ws: Workspace, model: Model, generator: Consumer, file_hash: str, label: str
) -> Assessment:
    """Answers of the exported file on dev, stored under a separate model, graded and diagnosed."""
    exported = Model(
        base=f"{ENDPOINT}export {label}",
        prompting=ZERO_SHOT,
        settings={"file": file_hash, "model": model.id}
        | ({"stop": list(generator.stops)} if generator.stops else {}),
    )
    ws.store.add_model(exported)
    dev = ws.split("dev")
    responses = respond(ws, exported, dev, stage=f"dev: {label}", generator=generator)
    return assess_answers(ws, exported, dev, responses)


def assess_model(ws: Workspace, model: Model) -> Assessment:
    """The model's answers on dev, generated where they are not stored."""
    dev = ws.split("dev")
    responses = respond(ws, model, dev, stage="dev: the model itself")
    return assess_answers(ws, model, dev, responses)


def regrade_issues(
    issues: Sequence[Issue], before: Assessment, after: Assessment
) -> list[IssueChange]:
    """Every issue in both sets of answers, paired by item; issues without scored items are left out."""
    groups = map_groups(after.examples)
    out = []
    for issue in issues:
        compared = compare_paired(
            find_issue_outcomes(issue, before), find_issue_outcomes(issue, after), groups=groups
        )
        counts = compared.counts
        if counts.n:
            out.append(
                IssueChange(
                    issue=issue.id,
                    title=issue_title(issue),
                    n=counts.n,
                    before=counts.before_rate,
                    after=counts.after_rate,
                    rise=counts.after_rate - counts.before_rate,
                    low=-compared.high,
                    high=-compared.low,
                )
            )
    return out
