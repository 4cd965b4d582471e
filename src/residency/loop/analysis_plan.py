"""The analysis plan, fixed and stored before each training: the questions, and how each is answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from residency.diagnose.error_budget import round_alpha
from residency.loop.alpha_ledger import take_alpha, take_test_alpha
from residency.loop.item_outcomes import KnownIssue, map_groups
from residency.loop.stages import run_stage_once
from residency.nouns.content_id import content_id
from residency.project.step_needs import HasRows
from residency.store.stage_key import StageKey, StageName

TEST = "exact sign-flip over groups, step-down over issues, worst-case bounds for missing answers"


def freeze_plan(
    ws: HasRows, known: Mapping[str, KnownIssue], half: set[str], number: int
) -> dict[str, Any]:
    """Store what round ``number`` will be judged by, before it is trained; the first writing counts.

    The plan holds the issues with their tolerances, reference models and number of groups, the
    items that measure, the round's share of α and the test. Its ``id`` is the hash of all that.
    """

    def make() -> dict[str, Any]:
        dev, alpha = ws.split("dev"), take_alpha(ws)
        groups = map_groups(dev)
        plan = {
            "round": number,
            "alpha": alpha,
            "round_alpha": round_alpha(alpha, number, ws.config.rounds.max),
            "test_alpha": take_test_alpha(ws),
            "test": TEST,
            "reduce": ws.config.evaluate.reduce,
            "items": len(half),
            "measuring": content_id("items", sorted(half)),
            "issues": [
                {
                    "issue": issue.id,
                    "tolerance": issue.tolerance,
                    "reference": issue.reference_model,
                    "groups": len(
                        {groups[e.id] for e in dev if e.id in half and issue.slice.contains(e)}
                    ),
                }
                for issue, _ in known.values()
            ],
        }
        return {"id": content_id("plan", plan), **plan}

    return run_stage_once(ws, StageKey.of_round(StageName.PLAN, number), make)
