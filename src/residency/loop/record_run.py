"""What the run writes down beside its nouns: figures of rounds, the data, what to expect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from residency.diagnose.detector_quality import detector_quality
from residency.diagnose.verdicts import stated_mde
from residency.loop.item_outcomes import Known, groups_of, outcomes_of
from residency.loop.respond import Assessed, label_of, staged
from residency.loop.trained_rows_preview import trained_rows
from residency.nouns.round import Round
from residency.project.workspace import Workspace


def record_round(
    ws: Workspace, number: int, arm: str, assessed: Assessed, *, trained: int, seconds: float
) -> None:
    """The round's figures; the first writing counts, so a resumed call keeps the first minutes."""
    model = assessed.model
    ws.store.add_round(
        ws.run_id,
        Round(number, arm, model.dataset, model.id, trained, seconds),
        {"label": label_of(model), "scores": assessed.scores.to_dict()},
    )


def record_data(ws: Workspace) -> None:
    """What was read, removed and split, for status and report."""
    counts = {split: len(ws.split(split)) for split in ("train", "dev", "test", "pool")}
    staged(
        ws,
        "data",
        lambda: {
            "rows": counts,
            "notes": [str(note) for note in ws.corpus.notes],
            "rejects": len(ws.corpus.rejects),
            "base": {"name": ws.base.name, "identity": ws.base.identity, "note": ws.base.note},
            "settings": ws.config.model_dump(mode="json"),
            "shown": trained_rows(ws),
            "detectors": detector_figures(ws),
        },
    )


def detector_figures(ws: Workspace) -> dict[str, dict[str, Any]]:
    """How far each detector can be trusted, on the labelled answers of the package."""
    found = detector_quality(ws.embedder, ws.config.diagnose)
    return {
        name: {
            "n": quality.n,
            "precision": quality.precision,
            "precision_bounds": quality.precision_bounds,
            "recall": quality.recall,
            "recall_bounds": quality.recall_bounds,
        }
        for name, quality in found.items()
    }


def expectations(ws: Workspace, known: Mapping[str, Known], half: set[str]) -> None:
    """Before training: the smallest fall that each issue's items can show."""

    groups = groups_of(ws.split("dev"))

    def make() -> list[dict[str, Any]]:
        rows = []
        for issue, then in known.values():
            failed = outcomes_of(issue, then)
            scored = [bad for key, bad in failed.items() if key in half and bad is not None]
            mde = stated_mde(
                issue,
                failed,
                half=half,
                groups=groups,
                issues=len(known),
                round=1,
                config=ws.config.diagnose,
            )
            rate = sum(scored) / len(scored) if scored else 0.0
            rows.append({"issue": issue.id, "n": len(scored), "rate": rate, "mde": mde})
        return rows

    staged(ws, "expectations", make)
