"""A run whose trainings and answers are jobs: the same bits as in one process, whatever dies."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from residency.commands.project import Project
from residency.commands.sweep import KnownEstimate
from residency.errors import UserError
from residency.interfaces import Progress, ProgressEvent
from residency.jobs.job_store import JobStore
from residency.jobs.loop_jobs import JobOptions
from residency.jobs.run_jobs import ThisProcess
from residency.store.stage_key import StageName
from small import save_model, save_project

pytestmark = pytest.mark.slow

TIMES = ("seconds", "memory", "minutes_each", "estimate", "at", "id")
"""What may differ between two runs of the same: times, and a plan's id, which holds one."""


class StoppedError(Exception):
    """The command dies here."""


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Project]:
    """The same project run in one process, and as jobs.

    The second one dies in round 2; when it goes on, in two processes, one of them is killed.
    """
    folder = tmp_path_factory.mktemp("runs")
    model = save_model(folder / "model")
    roots = [save_project(folder / name, model) for name in ("one", "several")]
    for root in roots:
        file = root / "residency.toml"
        file.write_text(file.read_text().replace("[rounds]", "[rounds]\ntrainings = 2"))
    one = Project.open(roots[0])
    one.run()
    killed: list[int] = []

    def stop(event: ProgressEvent) -> None:
        if event.stage.startswith("round 2: dev"):
            raise StoppedError

    def kill(event: ProgressEvent) -> None:
        if event.stage.startswith("arms: train") and event.unit == "steps" and not killed:
            worker = find_workers()[0]
            os.kill(worker.pid, signal.SIGKILL)
            killed.append(worker.pid)

    estimate = KnownEstimate(memory=2**20, step_seconds=0.05, frozen_seconds=0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("residency.commands.run.estimate_once", lambda ws: estimate)
        with pytest.MonkeyPatch.context() as here:
            here.setattr("residency.jobs.loop_jobs.open_runner", open_here)
            with pytest.raises(StoppedError):
                Project.open(roots[1], progress=stop).run(jobs=2)
        several = Project.open(roots[1], progress=kill)
        several.run(jobs=2)
    assert killed and not find_workers(), "workers end with the command"
    return one, several


@contextlib.contextmanager
def open_here(store: JobStore, *, progress: Progress, **_: Any) -> Iterator[ThisProcess]:
    """Jobs in this process, which need no other one to be started."""
    yield ThisProcess(store, progress)


def find_workers() -> list[psutil.Process]:
    """Worker processes of this one that are not dead."""
    children = psutil.Process().children(recursive=True)
    return [
        child
        for child in children
        if child.status() != psutil.STATUS_ZOMBIE
        and any("residency.jobs.worker" in word for word in child.cmdline())
    ]


def leave_out_times(value: Any) -> Any:
    """The value without times and memory, at any depth."""
    if isinstance(value, dict):
        return {k: leave_out_times(v) for k, v in value.items() if k not in TIMES}
    return [leave_out_times(v) for v in value] if isinstance(value, list) else value


def list_answers(project: Project) -> dict[str, list[tuple[str, int, str, tuple[int, ...]]]]:
    """Every answer of every model of the run."""
    store, out = project.store, {}
    for round_, _ in store.rounds(project.run_id):
        examples = [*project.split("dev"), *project.split("test")]
        answers = store.responses(round_.model, examples, project.sampling)
        out[round_.model] = sorted((a.example, a.sample, a.text, a.token_ids) for a in answers)
    return out


def test_the_same_bits_as_in_one_process(projects: tuple[Project, Project]) -> None:
    one, several = projects
    assert one.run_id == several.run_id
    stages = [
        {
            str(stage.key): leave_out_times(project.store.stage(project.run_id, stage.key))
            for stage in project.store.stages(project.run_id)
        }
        for project in projects
    ]
    assert stages[0].keys() == stages[1].keys()
    for key, body in stages[0].items():  # adapters stand in it by the hash of their bytes
        assert stages[1][key] == body, key
    assert sum(key.startswith(StageName.TRAIN) for key in stages[0]) >= 5
    assert list_answers(one) == list_answers(several)
    verdicts = [project.store.verdicts(project.run_id) for project in projects]
    assert verdicts[0] == verdicts[1]


def test_metrics_and_rounds_are_stored_as_if_done_here(projects: tuple[Project, Project]) -> None:
    one, several = projects
    keys = [s.key.subject for s in one.store.stages(one.run_id) if s.key.name == StageName.TRAIN]
    for key in keys:
        losses = [[e["loss"] for e in p.store.metrics(key)] for p in projects]
        assert losses[0] and losses[0] == losses[1]
    rounds = [[(r.index, r.arm, r.model) for r, _ in p.store.rounds(p.run_id)] for p in projects]
    assert rounds[0] == rounds[1]
    assert all(r.seconds > 0 for r, _ in several.store.rounds(several.run_id) if r.index)


def test_a_finished_run_leaves_no_files_of_jobs_and_does_nothing_again(
    projects: tuple[Project, Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, several = projects
    assert not (several.store.folder / "jobs").exists()

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a job was started")

    monkeypatch.setattr("residency.jobs.loop_jobs.run_jobs", refuse)
    Project.open(several.root).run(jobs=2)


def test_options_that_cannot_be_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="count from 1"):
        JobOptions(0)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="torchrun"):
        JobOptions(2)
    assert not JobOptions(1).ahead
