"""Issues that a round finds: only those that were not known."""

from __future__ import annotations

from residency.diagnose.find_issues import find_issues
from residency.loop.assess import Assessment
from residency.loop.item_outcomes import KnownIssue
from residency.loop.stages import run_stage_once
from residency.project.step_needs import HasMeasures
from residency.store.stage_key import StageKey, StageName


def add_issues(
    ws: HasMeasures, known: dict[str, KnownIssue], found_in: Assessment, half: set[str], number: int
) -> list[str]:
    """Issues that the finding half shows in these answers and that were not known; their ids."""
    issues = find_issues(
        found_in.examples,
        found_in.findings,
        found_in.responses,
        half=half,
        model=found_in.model.id,
        round=number,
        config=ws.config.diagnose,
        known=[issue for issue, _ in known.values()],
        slices=ws.slices,
        how=ws.config.evaluate.reduce,
    )
    fresh = [issue for issue in issues if issue.id not in known]
    ws.store.add_issues(ws.run_id, fresh)
    known.update({issue.id: (issue, found_in) for issue in fresh})
    return run_stage_once(
        ws, StageKey.of_round(StageName.ISSUES, number), lambda: [issue.id for issue in fresh]
    )
