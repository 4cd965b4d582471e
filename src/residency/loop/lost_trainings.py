"""Trainings whose result is gone or spoiled are opened again, so that the run makes them anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from residency.store.artifacts import ArtifactState
from residency.store.stage_key import StageKey, StageName
from residency.store.store import Store

FindState = Callable[[str], ArtifactState]


@dataclass(frozen=True)
class LostTraining:
    """A finished training whose stored adapter (or weights) is not what was stored."""

    key: StageKey
    artifact: str
    state: ArtifactState


def find_lost_trainings(
    store: Store, run: str, find_state: FindState | None = None
) -> list[LostTraining]:
    """Finished trainings of a run whose artifact is missing or was changed.

    Args:
        find_state: of an artifact; by default every one of this machine is read, and one that the
            team has is not lost.

    Raises:
        StoreError: one is not here, and the place that the team shares cannot be reached.
    """
    find_state = find_state or store.artifacts.find_state
    lost = []
    for stage in store.stages(run):
        if stage.key.name == StageName.TRAIN:
            artifact = (store.stage(run, stage.key) or {}).get("result", {}).get("adapter")
            state = find_state(artifact) if artifact else "whole"
            if artifact and state != "whole":
                lost.append(LostTraining(stage.key, artifact, state))
    return lost


def reopen_lost_trainings(
    store: Store, run: str, find_state: FindState | None = None
) -> list[LostTraining]:
    """Open them again: the next ``run`` trains them anew, and everything else stays as it is.

    A changed artifact is set aside and not deleted. The same data, settings and seed give the
    same weights, so answers and verdicts keep their model.
    """
    lost = find_lost_trainings(store, run, find_state)
    if lost:
        with store.writer("doctor"):
            for training in lost:
                store.artifacts.set_aside(training.artifact)
                store.reopen_stage(run, training.key)
            store.reopen_stage(run, StageKey(StageName.COMPLETE))
    return lost
