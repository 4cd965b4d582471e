"""The sealed test: base against final, once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from residency.diagnose.decisions import Comparison
from residency.diagnose.find_issues import overall_issues
from residency.diagnose.verdicts import confirm_on_test
from residency.evaluate.suites.primary_score import compare_primary
from residency.loop.alpha_ledger import take_test_alpha
from residency.loop.assess import Assessment, answer_and_assess, assess_stored_answers
from residency.loop.item_outcomes import compare_kinds, find_issue_outcomes, map_groups
from residency.loop.score_change import compare_scores
from residency.loop.stages import run_stage_once
from residency.loop.work_ahead import NOTHING_AHEAD, AnswerOrder, WorkAhead
from residency.nouns.model import Model
from residency.nouns.verdict import Verdict, VerdictStatus
from residency.project.named_models import ZERO_SHOT, choose_project_shots, label_model
from residency.project.step_needs import HasAnswers, HasSettings
from residency.stats.fall_difference import compare_falls
from residency.stats.multiplicity import adjust_by_holm
from residency.stats.paired_outcomes import pair_outcomes
from residency.store.record_kind import RecordKind
from residency.store.stage_key import StageKey, StageName


def open_sealed_test(
    ws: HasAnswers,
    baselines: Sequence[Assessment],
    reference: Model,
    final: Model,
    ahead: WorkAhead = NOTHING_AHEAD,
) -> None:
    """Base against final on the sealed split, once."""
    key = StageKey(StageName.TEST, final.id)
    if ws.store.stage(ws.run_id, key) is not None:
        return
    opened = [r["final"] for r in ws.store.records(RecordKind.TEST_OPENED, ws.run_id)]
    if final.id not in opened:  # a resumed opening is not a second one
        ws.store.add_record(
            RecordKind.TEST_OPENED, ws.run_id, {"final": final.id, "base": reference.id}
        )
    start = time.monotonic()
    orders = [_order_answers(ws, model) for model in (final, *(b.model for b in baselines))]
    ahead.do_answers(orders)
    after, *others = (
        answer_and_assess(ws, model, "test", stage=order.stage, shots=order.shots)
        for order in orders
        if (model := order.model) is not None
    )
    sides = {assessed.model.id: assessed for assessed in others}
    before = sides[reference.id]
    verdicts, kinds = confirm_issues(ws, before, after)
    ws.store.add_verdicts(ws.run_id, verdicts)
    changes = {
        assessed.model.id: compare_kinds(assessed, after) for assessed in [*sides.values(), after]
    }
    for kind, row in changes[reference.id].items():
        row["status"] = kinds.get(kind, "")
    ws.store.finish_stage(
        ws.run_id,
        key,
        time.monotonic() - start,
        {
            "final": final.id,
            "reference": reference.id,
            "score_change": compare_scores(before.scores, after.scores, map_groups(after.examples)),
            "primary_change": compare_primary(
                before.scores.primary, after.scores.primary, map_groups(after.examples)
            ),
            "sides": {
                assessed.model.id: {
                    "label": label_model(assessed.model),
                    "scores": assessed.scores.to_dict(),
                    "against_final": changes[assessed.model.id],
                }
                for assessed in [*sides.values(), after]
            },
        },
    )


def _order_answers(ws: HasAnswers, model: Model) -> AnswerOrder:
    """A model's answers to the sealed items, prompted as on dev."""
    shots = [] if model.prompting == ZERO_SHOT else choose_project_shots(ws)
    return AnswerOrder("test", f"sealed test: {label_model(model)}", model, shots)


def compare_falls_of_issues(
    ws: HasAnswers, reference: Assessment, final: Assessment, measuring: set[str]
) -> list[dict[str, Any]]:
    """Did an issue fall further on dev than on the sealed test, from base to final?

    Items of dev that measure found no issue, so a difference beyond chance says that something was
    adapted to what dev alone has. The p of each issue is adjusted for all of them (Holm).
    """

    def make() -> list[dict[str, Any]]:
        base, last = (assess_stored_answers(ws, one.model, "test") for one in (reference, final))
        splits: list[tuple[Assessment, Assessment, set[str] | None]]
        splits = [(reference, final, measuring), (base, last, None)]
        issues = ws.store.issues(ws.run_id)
        rows = []
        for issue in issues:
            on_dev, on_test = (
                pair_outcomes(
                    find_issue_outcomes(issue, before),
                    find_issue_outcomes(issue, after),
                    groups=map_groups(after.examples),
                    only=only,
                ).differences
                for before, after, only in splits
            )
            rows.append((issue.id, compare_falls(on_dev, on_test)))
        adjusted = adjust_by_holm([falls.p_value for _, falls in rows])
        return [
            {"issue": issue, **asdict(falls), "adjusted_p": p}
            for (issue, falls), p in zip(rows, adjusted, strict=True)
        ]

    return run_stage_once(ws, StageKey(StageName.FALLS), make)


def confirm_issues(
    ws: HasSettings, before: Assessment, after: Assessment
) -> tuple[list[Verdict], dict[str, VerdictStatus]]:
    """Verdicts on every issue, and what became of every kind over all items, as one family.

    So the chance of any false claim on the sealed test, be it of an issue or of a whole kind,
    is within the share of α that it may spend.
    """
    issues = ws.store.issues(ws.run_id)
    findings = [*before.findings, *after.findings]
    overall = overall_issues(
        findings, model=before.model.id, config=ws.config.diagnose, known=issues
    )
    verdicts = confirm_on_test(
        [
            Comparison(
                issue,
                before.model.id,
                after.model.id,
                find_issue_outcomes(issue, before),
                find_issue_outcomes(issue, after),
            )
            for issue in [*issues, *overall]
        ],
        groups=map_groups(after.examples),
        alpha=take_test_alpha(ws),
        round=after.model.round,
    )
    of_issues, of_kinds = verdicts[: len(issues)], verdicts[len(issues) :]
    kinds = {
        issue.kind: verdict.status
        for issue, verdict in zip([*overall, *issues], [*of_kinds, *of_issues], strict=True)
        if issue.slice.by == "all"
    }
    return of_issues, kinds
