"""``residency doctor``: is everything that a project stored still there, and as it was stored?"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from residency.config.project import ProjectConfig
from residency.errors import ResidencyError, StoreError
from residency.loop.lost_trainings import find_lost_trainings, reopen_lost_trainings
from residency.store.artifacts import ArtifactState
from residency.store.record_kind import RecordKind
from residency.store.store import FOLDER, Store
from residency.store.team_artifacts import TeamArtifacts
from residency.text.counts import write_count


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


def check_store(root: Path, settings: ProjectConfig, *, repair: bool = False) -> StoreCheckup:
    """Look through the store and every artifact of a project, the team's copies too.

    Args:
        settings: where the store and the team's artifacts are.
        repair: open again what can be made again (``residency run`` then makes it), and send the
            team what it lacks; a changed artifact is set aside, not deleted.

    Raises:
        StoreError: there is no store, or it cannot be read at all.
    """
    checkup = StoreCheckup()
    store = Store(
        root,
        settings.store,
        create=False,
        artifacts=settings.artifacts,
        tell=checkup.problems.append,
    )
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
    if isinstance(store.artifacts, TeamArtifacts):
        states = _check_team(store.artifacts, adapters, states, checkup, repair=repair)
    bad = {digest: state for digest, state in states.items() if state != "whole"}
    checkup.looked_at.append(f"artifacts: {len(adapters)} of models, {len(bad)} of them not whole")
    remade: set[str] = set()
    run = store.latest_run()
    if run:
        again = reopen_lost_trainings if repair else find_lost_trainings
        found = again(store, run, lambda digest: states.get(digest, "whole"))
        remade = {training.artifact for training in found}
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


def _check_team(
    artifacts: TeamArtifacts,
    models: Mapping[str, str],
    here: Mapping[str, ArtifactState],
    checkup: StoreCheckup,
    *,
    repair: bool,
) -> dict[str, ArtifactState]:
    """Look at the team's copies, and say of each artifact whether anybody has it whole.

    Where the place cannot be reached nobody knows: what is not here counts as whole, so that nothing
    is trained again that lies there.
    """
    try:
        shared = {digest: artifacts.check_shared(digest) for digest in models}
    except ResidencyError as error:
        away = write_count(sum(state != "whole" for state in here.values()), "artifact")
        checkup.problems.append(
            f"artifacts of the team ({artifacts.shown}): {error.what}; nobody knows of {away} "
            "not whole on this machine"
        )
        return dict.fromkeys(models, "whole")
    checkup.looked_at.append(
        f"artifacts of the team ({artifacts.shown}): "
        f"{sum(state == 'whole' for state in shared.values())} of {len(models)} are whole"
    )
    for digest, state in shared.items():
        if repair and state == "changed":
            artifacts.drop_shared(digest)
        if state != "whole" and here[digest] == "whole":
            step = "sent again" if repair else "--repair sends it from here"
            checkup.problems.append(f"{models[digest]}: the team's artifact is {state}; {step}")
            if repair:
                checkup.repaired.append(f"{models[digest]}: sent to {artifacts.shown}")
        elif state == "whole" and here[digest] == "changed":
            path = artifacts.path_of(digest)
            step = "set aside" if repair else "--repair sets this one aside"
            checkup.problems.append(f"{models[digest]}: its artifact is changed ({path}); {step}")
            if repair:
                artifacts.set_aside(digest)
                checkup.repaired.append(
                    f"{models[digest]}: fetched from {artifacts.shown} when needed"
                )
    if repair:
        artifacts.send_missing()
    return {digest: "whole" if shared[digest] == "whole" else here[digest] for digest in models}


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
