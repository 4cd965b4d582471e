"""The arms on the sealed test, once: what was aimed at, and all the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from residency.diagnose.arm_questions import ArmQuestion, Checks, ask_arms
from residency.interfaces import ProgressEvent
from residency.loop.arm_trainings import ARM_WORDS, Arm, ArmTrainings, LastArms
from residency.loop.assess import Assessment, answer_and_assess
from residency.loop.item_outcomes import (
    compare_outcomes,
    find_issue_outcomes,
    find_kind_outcomes,
    map_groups,
)
from residency.loop.stages import run_stage_once
from residency.loop.work_ahead import NOTHING_AHEAD, AnswerOrder, WorkAhead
from residency.nouns.issue import Issue
from residency.project.step_needs import HasAnswers
from residency.stats.fall_difference import compare_falls
from residency.store.stage_key import StageKey, StageName

FIGURES = (
    "checks",
    "groups",
    "unscored",
    "before",
    "after",
    "better",
    "worse",
    "delta",
    "low",
    "high",
    "p_value",
    "control",
    "targeted",
)


def measure_sealed_arms(
    ws: HasAnswers,
    last: LastArms,
    arms: ArmTrainings,
    alpha: float,
    ahead: WorkAhead = NOTHING_AHEAD,
) -> dict[str, Any]:
    """Every training of both arms answers the sealed items; the two questions of the arms.

    The second question, of the rest, is put to the data only where the first is decided: so one
    level covers both.

    Args:
        alpha: level of the question about the data.
    """

    def make() -> dict[str, Any]:
        targeted, control = (
            _order_answers(arms.main, "main"),
            _order_answers(arms.control, "control"),
        )
        ahead.do_answers([*targeted, *control])
        sealed = ArmTrainings(_answer_test(ws, targeted), _answer_test(ws, control))
        questions = {
            split: {name: _ask(last, side, name, half, alpha) for name in ("aimed", "rest")}
            for split, side, half in (("dev", arms, last.measuring), ("test", sealed, None))
        }
        guide, test = questions["dev"], questions["test"]
        falls = compare_falls(guide["aimed"].differences, test["aimed"].differences)
        return {
            "round": last.number,
            "alpha": alpha,
            "aimed": [issue.id for issue in last.aimed],
            "questions": {name: _to_figures(question) for name, question in test.items()},
            "guide": {name: _to_figures(question) for name, question in guide.items()},
            "issues": _compare_issues(last, sealed),
            "falls": {**asdict(falls), "difference": falls.difference},
        }

    return run_stage_once(ws, StageKey(StageName.ARMS_TESTED), make)


def _order_answers(side: Sequence[Assessment], arm: Arm) -> list[AnswerOrder]:
    """Every training of an arm on the sealed items; the first one's answers serve as drafts."""
    return [
        AnswerOrder("test", f"arms: test {ARM_WORDS[arm]} {number}", one.model, draft=side[0].model)
        for number, one in enumerate(side, 1)
    ]


def _answer_test(ws: HasAnswers, orders: Sequence[AnswerOrder]) -> list[Assessment]:
    out = []
    for order in orders:
        assert order.model is not None
        ws.progress(ProgressEvent(order.stage, 0, len(ws.split("test")), "answers"))
        out.append(answer_and_assess(ws, order.model, "test", stage=order.stage, draft=order.draft))
    return out


def _ask(
    last: LastArms, arms: ArmTrainings, name: str, half: set[str] | None, alpha: float
) -> ArmQuestion:
    list_checks = list_aimed_checks if name == "aimed" else list_other_checks
    everyone = [*arms.control, *arms.main]
    kinds = sorted({f.kind for one in everyone for f in one.findings if f.status == "fail"})
    checks = [list_checks(one, last.aimed, kinds, half) for one in everyone]
    count = len(arms.control)
    groups = map_groups(arms.main[0].examples)
    return ask_arms(checks[:count], checks[count:], groups=groups, alpha=alpha)


def list_aimed_checks(
    assessed: Assessment, aimed: Sequence[Issue], kinds: Sequence[str], half: set[str] | None
) -> Checks:
    """Each issue that drew rows, on each item of its slice."""
    return {
        (issue.id, key): failed
        for issue in aimed
        for key, failed in find_issue_outcomes(issue, assessed).items()
        if half is None or key in half
    }


def list_other_checks(
    assessed: Assessment, aimed: Sequence[Issue], kinds: Sequence[str], half: set[str] | None
) -> Checks:
    """Every kind that failed anywhere on every item, but for what was aimed at."""
    aimed_checks = {
        (issue.kind, example.id)
        for issue in aimed
        for example in assessed.examples
        if issue.slice.contains(example)
    }
    return {
        (kind, key): failed
        for kind in kinds
        for key, failed in find_kind_outcomes(kind, assessed).items()
        if (kind, key) not in aimed_checks and (half is None or key in half)
    }


def _compare_issues(last: LastArms, sealed: ArmTrainings) -> list[dict[str, Any]]:
    """Each known issue on the sealed items: the control model (before), the targeted one (after)."""
    groups = map_groups(sealed.main[0].examples)
    rows = []
    for issue, _ in last.known.values():
        control, targeted = (
            find_issue_outcomes(issue, side[0]) for side in (sealed.control, sealed.main)
        )
        rows.append({"issue": issue.id, **compare_outcomes(control, targeted, groups)})
    return rows


def _to_figures(question: ArmQuestion) -> dict[str, Any]:
    figures: Mapping[str, Any] = {name: getattr(question, name) for name in FIGURES}
    return {**figures, "data": asdict(question.data)}
