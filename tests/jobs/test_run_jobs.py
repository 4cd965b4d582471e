"""Jobs are done once, in order, again when their worker dies, and never twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import job_functions
from residency.errors import DataError, ResidencyError, UserError
from residency.jobs.job import Job, JobResult, Resources
from residency.jobs.job_store import FolderJobStore, JobStore, open_job_store
from residency.jobs.open_runner import open_runner
from residency.jobs.processes import Processes
from residency.jobs.run_jobs import ThisProcess, run_jobs

HELPERS = str(Path(job_functions.__file__).parent)


@pytest.fixture(autouse=True)
def children_find_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", HELPERS)


def make_graph(log: Path, *, seconds: float = 0.0, width: int = 4) -> list[Job]:
    """``width`` numbers, and one job that needs them all."""
    place = {"log": str(log), "seconds": seconds}
    parts = [
        Job("job_functions:add_numbers", {"number": 10**n}, place=place, title=f"part {n}")
        for n in range(width)
    ]
    needs = {f"part {n}": job.id for n, job in enumerate(parts)}
    whole = Job("job_functions:add_numbers", {"number": 7}, needs=needs, place=place, title="whole")
    return [whole, *parts]


def read_log(log: Path) -> list[int]:
    return sorted(int(line) for line in log.read_text().split())


def test_the_id_follows_from_what_decides_the_result_alone() -> None:
    job = Job("m:f", {"a": 1}, place={"root": "/x"}, resources=Resources(5, 2), title="t")
    assert job.id == Job("m:f", {"a": 1}).id
    others = [
        Job("m:g", {"a": 1}),
        Job("m:f", {"a": 2}),
        Job("m:f", {"a": 1}, inputs={"rows": "sha256:1"}),
        Job("m:f", {"a": 1}, needs={"b": job.id}),
    ]
    assert len({job.id, *(other.id for other in others)}) == 5
    assert Job.from_dict(json.loads(json.dumps(job.to_dict()))) == job


@pytest.mark.parametrize("count", [1, 3])
def test_each_job_runs_once_after_what_it_needs(tmp_path: Path, count: int) -> None:
    store, log = FolderJobStore(tmp_path / "jobs"), tmp_path / "log"
    jobs = make_graph(log)
    order: list[str] = []
    with open_runner(store, count=count) as runner:
        results = run_jobs(jobs, store, runner, on_done=lambda job, _: order.append(job.title))
    assert results[jobs[0].id].value == {"sum": 1118}
    assert order[-1] == "whole" and len(order) == 5
    assert read_log(log) == [1, 7, 10, 100, 1000]
    with open_runner(store, count=count) as runner:
        again = run_jobs(jobs, store, runner)
    assert again == results and len(read_log(log)) == 5


def test_a_killed_worker_is_replaced_and_the_attempt_goes_on_from_its_work(tmp_path: Path) -> None:
    store = FolderJobStore(tmp_path)
    job = Job("job_functions:die_at_first", {})
    with open_runner(store, count=2) as runner:
        results = run_jobs([job, *make_graph(tmp_path / "log")], store, runner)
    assert results[job.id].value == {"from": "1", "files": []}


def test_a_job_that_always_kills_its_worker_ends_and_the_others_are_done(tmp_path: Path) -> None:
    store, jobs = FolderJobStore(tmp_path), make_graph(tmp_path / "log")
    bad = Job("job_functions:die_always", {}, title="greedy")
    with (
        open_runner(store, count=2) as runner,
        pytest.raises(ResidencyError, match=r"greedy: its worker died \(signal 9.*4 times"),
    ):
        run_jobs([bad, *jobs], store, runner)
    assert store.find_result(jobs[0].id) is not None


@pytest.mark.parametrize("count", [1, 2])
def test_a_failing_job_is_told_as_itself_and_only_what_needs_it_is_left_out(
    tmp_path: Path, count: int
) -> None:
    store, jobs = FolderJobStore(tmp_path), make_graph(tmp_path / "log")
    bad = Job("job_functions:fail", {})
    behind = Job("job_functions:add_numbers", {"number": 1}, needs={"bad": bad.id})
    with open_runner(store, count=count) as runner, pytest.raises(DataError, match="row is wrong"):
        run_jobs([behind, bad, *jobs], store, runner)
    assert store.find_result(jobs[0].id) is not None
    assert store.find_result(behind.id) is None and store.find_result(bad.id) is None


def test_memory_is_shared_out_and_what_can_never_fit_is_refused(tmp_path: Path) -> None:
    jobs = [
        Job("m:f", {"n": n}, resources=Resources(memory=size)) for n, size in enumerate((6, 5, 4))
    ]
    with Processes(str(tmp_path), 3, memory=10) as runner:
        runner.check(jobs)
        with pytest.raises(UserError, match="needs"):
            runner.check([Job("m:f", {}, resources=Resources(memory=11))])
        assert runner.has_room(jobs[0])
        runner.start(jobs[0])
        assert not runner.has_room(jobs[1])
        assert runner.has_room(jobs[2])


def test_jobs_in_a_circle_are_an_error(tmp_path: Path) -> None:
    store = FolderJobStore(tmp_path)
    job = Job("job_functions:add_numbers", {"number": 1}, needs={"x": "job-0000"}, title="lonely")
    with pytest.raises(ResidencyError, match="can never start: lonely"):
        run_jobs([job], store, ThisProcess(store))


DRIVER = """
import sys
from pathlib import Path
from residency.jobs.job_store import FolderJobStore
from residency.jobs.open_runner import open_runner
from residency.jobs.run_jobs import run_jobs
sys.path.insert(0, {helpers!r})
sys.path.insert(0, {tests!r})
from test_run_jobs import make_graph
store = FolderJobStore(Path({folder!r}))
with open_runner(store, count=2) as runner:
    run_jobs(make_graph(Path({log!r}), seconds=0.4, width=6), store, runner)
"""


def test_a_killed_driver_leaves_no_orphans_and_nothing_done_is_done_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = DRIVER.format(
        helpers=HELPERS, tests=str(Path(__file__).parent), folder=str(tmp_path / "j"), log=str(log)
    )
    driver = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    results = tmp_path / "j" / "results"
    while not (results.is_dir() and len(list(results.iterdir())) >= 2):
        assert time.monotonic() < deadline and driver.poll() is None
        time.sleep(0.02)
    workers = psutil.Process(driver.pid).children(recursive=True)
    assert workers
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    gone, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive and gone
    done = {path.stem for path in results.iterdir()}
    store, jobs = FolderJobStore(tmp_path / "j"), make_graph(log, seconds=0.4, width=6)
    before = read_log(log)
    with open_runner(store, count=2) as runner:
        run_jobs(jobs, store, runner)
    again = read_log(log)
    for job in jobs:
        number = job.arguments["number"]
        times = again.count(number) - before.count(number)
        assert times == (0 if job.id in done else 1)


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_spoiled_or_missing_files_undo_a_result(tmp_path: Path, kind: str) -> None:
    """A result whose files are gone or changed is no result; the job is done again."""
    address = str(tmp_path / "jobs") if kind == "folder" else f"memory://{tmp_path.name}"
    store: JobStore = open_job_store(address)
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "a.txt").write_text("a")
    digest = store.put_folder(source)
    store.add_result(JobResult("job-1", {"x": 1}, digest))
    assert (store.open_folder(digest) / "deep" / "a.txt").read_text() == "a"
    assert store.find_result("job-1") == JobResult("job-1", {"x": 1}, digest)
    if kind == "folder":
        (store.open_folder(digest) / "deep" / "a.txt").write_text("b")
        assert open_job_store(address).find_result("job-1") is None
    else:
        import fsspec

        files = fsspec.filesystem("memory")
        path = f"/{tmp_path.name}/artifacts/{digest.replace('sha256:', 'sha256-')[:39]}"
        files.rm_file(path + ".whole")
        assert open_job_store(address).find_result("job-1") is None
    store = open_job_store(address)
    assert store.put_folder(source) == digest
    assert store.find_result("job-1") == JobResult("job-1", {"x": 1}, digest)


@pytest.mark.parametrize("count", [1, 2])
def test_a_failure_that_somebody_hears_of_is_not_raised(tmp_path: Path, count: int) -> None:
    """What needs it is not done, everything else is."""
    store = FolderJobStore(tmp_path)
    bad = Job("job_functions:fail", {}, title="bad")
    behind = Job("job_functions:add_numbers", {"number": 1}, needs={"bad": bad.id})
    good = Job("job_functions:add_numbers", {"number": 2})
    heard: list[tuple[str, str]] = []
    with open_runner(store, count=count) as runner:
        results = run_jobs(
            [bad, behind, good],
            store,
            runner,
            on_failed=lambda job, error: heard.append((job.title, error.what)),
        )
    assert heard == [("bad", "a row is wrong")] and set(results) == {good.id}


def test_a_defect_is_raised_whoever_hears(tmp_path: Path) -> None:
    store, job = FolderJobStore(tmp_path), Job("job_functions:no_such_function", {})
    with open_runner(store) as runner, pytest.raises(AttributeError):
        run_jobs([job], store, runner, on_failed=lambda *_: None)
