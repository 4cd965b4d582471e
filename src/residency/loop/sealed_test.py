"""The sealed test: base against final, once."""

from __future__ import annotations

import time
from collections.abc import Sequence

from residency.diagnose.find_issues import overall_issues
from residency.diagnose.verdicts import Comparison, confirm
from residency.loop.item_outcomes import groups_of, outcomes_of, overall_change
from residency.loop.respond import ZERO_SHOT, Assessed, evaluate_on, label_of, shots_of
from residency.loop.score_change import item_scores, score_change
from residency.nouns.model import Model
from residency.nouns.verdict import Verdict, VerdictStatus
from residency.project.workspace import Workspace


def sealed_test(
    ws: Workspace, baselines: Sequence[Assessed], reference: Model, final: Model
) -> None:
    """Base against final on the sealed split, once."""
    key = f"test {final.id}"
    if ws.store.stage(ws.run_id, key) is not None:
        return
    opened = [r["final"] for r in ws.store.records("test opened", ws.run_id)]
    if final.id not in opened:  # a resumed opening is not a second one
        ws.store.add_record("test opened", ws.run_id, {"final": final.id, "base": reference.id})
    start = time.monotonic()
    after = evaluate_on(ws, final, "test", stage=f"sealed test: {label_of(final)}")
    sides = {}
    for baseline in baselines:
        shots = [] if baseline.model.prompting == ZERO_SHOT else shots_of(ws)
        stage = f"sealed test: {label_of(baseline.model)}"
        sides[baseline.model.id] = evaluate_on(ws, baseline.model, "test", stage=stage, shots=shots)
    before = sides[reference.id]
    verdicts, kinds = confirmed(ws, before, after)
    ws.store.add_verdicts(ws.run_id, verdicts)
    changes = {
        assessed.model.id: overall_change(assessed, after) for assessed in [*sides.values(), after]
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
            "score_change": score_change(
                item_scores(before.scores, before.responses),
                item_scores(after.scores, after.responses),
                groups_of(after.examples),
            ),
            "sides": {
                assessed.model.id: {
                    "label": label_of(assessed.model),
                    "scores": assessed.scores.to_dict(),
                    "against_final": changes[assessed.model.id],
                }
                for assessed in [*sides.values(), after]
            },
        },
    )


def confirmed(
    ws: Workspace, before: Assessed, after: Assessed
) -> tuple[list[Verdict], dict[str, VerdictStatus]]:
    """Verdicts on every issue, and what became of every kind over all items, as one family.

    So the chance of any false claim on the sealed test, be it of an issue or of a whole kind,
    is within the share of α that it may spend.
    """
    issues = ws.store.issues(ws.run_id)
    findings = [*before.findings, *after.findings]
    whole = overall_issues(findings, model=before.model.id, config=ws.config.diagnose, known=issues)
    verdicts = confirm(
        [
            Comparison(
                issue,
                before.model.id,
                after.model.id,
                outcomes_of(issue, before),
                outcomes_of(issue, after),
            )
            for issue in [*issues, *whole]
        ],
        groups=groups_of(after.examples),
        config=ws.config.diagnose,
        round=after.model.round,
    )
    of_issues, of_kinds = verdicts[: len(issues)], verdicts[len(issues) :]
    kinds = {
        issue.kind: verdict.status
        for issue, verdict in zip([*whole, *issues], [*of_kinds, *of_issues], strict=True)
        if issue.slice.by == "all"
    }
    return of_issues, kinds
