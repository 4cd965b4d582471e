"""``residency doctor``: is everything that a project stored still there, and as it was stored?"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from residency.errors import StoreError
from residency.loop.lost_trainings import find_lost_trainings, reopen_lost_trainings
from residency.store.record_kind import RecordKind
from residency.store.store import FOLDER, Store


@dataclass(frozen=True)
class StoreCheckup:
    """What was looked at and what is wrong.

    Attributes:
        looked_at: one line a part: database, artifacts, free disk.
        problems: what is wrong, and where.
        repaired: what was opened to be made again, or set aside.
    """

    looked_at: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong, or everything wrong was repaired."""
        return not self.problems or len(self.repaired) >= len(self.problems)


def check_store(root: Path, url: str = "", *, repair: bool = False) -> StoreCheckup:
    """Look through the store and every artifact of a project.

    Args:
        repair: open again what can be made again (``residency run`` then makes it); a changed
            artifact is set aside, not deleted.

    Raises:
        StoreError: there is no store, or it cannot be read at all.
    """
    checkup = StoreCheckup()
    store = Store(root, url, create=False)
    try:
        damage = store.check_database()
        checkup.looked_at.append(f"database {store.address}: {len(damage) or 'no'} faults")
        checkup.problems.extend(f"database: {line}" for line in damage)
        _check_artifacts(store, checkup, repair=repair)
    finally:
        store.close()
    free = shutil.disk_usage(root / FOLDER if (root / FOLDER).exists() else root).free
    checkup.looked_at.append(f"free disk: {free / 1e9:.1f} GB")
    return checkup


def _check_artifacts(store: Store, checkup: StoreCheckup, *, repair: bool) -> None:
    # A sweep's trainings leave their answers here and not their adapters.
    adapters = {
        model.adapter: model.id
        for model in store.models()
        if model.adapter and store.records(RecordKind.TRAINING, model.id)
    }
    states = {digest: store.artifacts.check_artifact(digest) for digest in adapters}
    bad = {digest: state for digest, state in states.items() if state != "whole"}
    checkup.looked_at.append(f"artifacts: {len(adapters)} of models, {len(bad)} of them not whole")
    remade: set[str] = set()
    run = store.latest_run()
    if run:
        again = reopen_lost_trainings if repair else find_lost_trainings
        remade = {training.artifact for training in again(store, run)}
    for digest, state in bad.items():
        path = store.artifacts.path_of(digest)
        model = adapters[digest]
        if digest in remade:
            step = "opened again" if repair else "can be made again with --repair"
            checkup.problems.append(f"{model}: its artifact is {state} ({path}); {step}")
            if repair:
                checkup.repaired.append(f"{model}: residency run makes it again")
        else:
            checkup.problems.append(
                f"{model}: its artifact is {state} ({path}) and belongs to no training of the "
                "latest run; restore it from a backup"
            )


def require_healthy(checkup: StoreCheckup) -> None:
    """For scripts.

    Raises:
        StoreError: something is wrong and was not repaired.
    """
    if not checkup.healthy:
        raise StoreError(
            f"{len(checkup.problems)} faults in the store",
            where=checkup.problems[0],
            next_step="residency doctor --repair, or restore .residency from a backup",
        )
