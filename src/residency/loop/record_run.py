"""What the run writes down beside its nouns: figures of rounds, the data, what to expect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from residency.diagnose.detector_quality import detector_quality
from residency.diagnose.verdicts import stated_mde
from residency.loop.alpha_ledger import settings_at_share
from residency.loop.assess import Assessment
from residency.loop.item_outcomes import KnownIssue, find_issue_outcomes, map_groups
from residency.loop.replay_rows import count_trained_replay, write_replay_notes
from residency.loop.stages import run_stage_once
from residency.loop.trained_rows_preview import preview_trained_rows
from residency.nouns.round import Round
from residency.project.named_models import label_model
from residency.project.step_needs import HasAnswers, HasMeasures, HasRows
from residency.store.stage_key import StageKey, StageName


def record_round(
    ws: HasAnswers, number: int, arm: str, assessed: Assessment, *, trained: int, seconds: float
) -> None:
    """The round's figures; the first writing counts, so a resumed call keeps the first minutes."""
    model = assessed.model
    ws.store.add_round(
        ws.run_id,
        Round(
            number, arm, model.dataset, model.id, trained, seconds, count_trained_replay(ws, model)
        ),
        {"label": label_model(model), "scores": assessed.scores.to_dict()},
    )


def record_data(ws: HasAnswers) -> None:
    """What was read, removed and split, for status and report."""
    run_stage_once(
        ws,
        StageKey(StageName.DATA),
        lambda: {
            "rows": ws.sizes,
            "notes": [*map(str, ws.corpus.notes), *write_replay_notes(ws)],
            "rejects": len(ws.corpus.rejects),
            "base": {"name": ws.base.name, "identity": ws.base.identity, "note": ws.base.note},
            "settings": ws.config.model_dump(mode="json"),
            "shown": preview_trained_rows(ws),
            "detectors": measure_detectors(ws),
        },
    )


def measure_detectors(ws: HasMeasures) -> dict[str, dict[str, Any]]:
    """How far each detector can be trusted, on the labelled answers of the package."""
    qualities = detector_quality(ws.embedder, ws.config.diagnose)
    return {
        name: {
            "n": quality.n,
            "precision": quality.precision,
            "precision_bounds": quality.precision_bounds,
            "recall": quality.recall,
            "recall_bounds": quality.recall_bounds,
        }
        for name, quality in qualities.items()
    }


def record_expectations(ws: HasRows, known: Mapping[str, KnownIssue], half: set[str]) -> None:
    """Before training: the smallest fall that each issue's items can show."""

    groups = map_groups(ws.split("dev"))

    def make() -> list[dict[str, Any]]:
        rows = []
        for issue, then in known.values():
            failed = find_issue_outcomes(issue, then)
            scored = [bad for key, bad in failed.items() if key in half and bad is not None]
            mde = stated_mde(
                issue,
                failed,
                half=half,
                groups=groups,
                issues=len(known),
                round=1,
                config=settings_at_share(ws),
                rounds=ws.config.rounds.max,
            )
            rate = sum(scored) / len(scored) if scored else 0.0
            rows.append({"issue": issue.id, "n": len(scored), "rate": rate, "mde": mde})
        return rows

    run_stage_once(ws, StageKey(StageName.EXPECTATIONS), make)
