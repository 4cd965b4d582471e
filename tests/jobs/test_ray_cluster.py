"""On a Ray cluster jobs give what they give here, also when its nodes die."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import job_functions
from residency.errors import DataError, ResidencyError, UserError
from residency.jobs.job import Job, JobResult, Resources
from residency.jobs.job_store import FolderJobStore
from residency.jobs.open_runner import open_runner
from residency.jobs.run_jobs import ThisProcess, run_jobs

pytestmark = pytest.mark.slow

HELPERS = str(Path(job_functions.__file__).parent)


def start_patiently(start: Callable[[], Any]) -> Any:
    """Ray gives its own processes 30 s and no more, which a busy machine may not give them."""
    for attempt in range(4):
        try:
            return start()
        except Exception as error:
            if attempt == 3 or "timed out" not in str(error):
                raise
    return None


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head, and a node of one processor that may die."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", HELPERS)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        made = start_patiently(
            lambda: Cluster(
                initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
            )
        )
        start_patiently(lambda: made.add_node(num_cpus=1))
        yield made
        made.shutdown()


def make_jobs(count: int, log: Path, *, seconds: float = 0.0) -> list[Job]:
    place = {"log": str(log), "seconds": seconds}
    parts = [Job("job_functions:add_numbers", {"number": n}, place=place) for n in range(count)]
    needs = {str(n): job.id for n, job in enumerate(parts)}
    return [*parts, Job("job_functions:add_numbers", {"number": 1000}, needs=needs, place=place)]


def test_a_cluster_gives_what_one_process_gives_while_a_node_is_killed(
    cluster: Any, tmp_path: Path
) -> None:
    jobs = make_jobs(6, tmp_path / "log", seconds=0.3)
    store, here = FolderJobStore(tmp_path / "cluster"), FolderJobStore(tmp_path / "here")
    done: list[str] = []

    def keep(job: Job, result: JobResult) -> None:
        done.append(job.id)
        if len(done) == 1:  # in the middle of the others
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
            start_patiently(lambda: cluster.add_node(num_cpus=1))

    with open_runner(store, cluster=cluster.address) as runner:
        results = run_jobs(jobs, store, runner, on_done=keep)
        bad = [Job("job_functions:fail", {}), Job("job_functions:die_at_first", {})]
        with pytest.raises(DataError, match="row is wrong"):
            run_jobs(bad, store, runner)
        assert store.find_result(bad[1].id) is not None
        with pytest.raises(UserError, match="no node of the cluster"):
            run_jobs([Job("m:f", {}, resources=Resources(threads=64))], store, runner)
    assert sorted(done) == sorted({job.id for job in jobs})  # each once, none lost
    expected = run_jobs(jobs, here, ThisProcess(here))
    assert {k: values_of(r) for k, r in results.items()} == {
        k: values_of(r) for k, r in expected.items()
    }


def values_of(result: JobResult) -> Any:
    return result.value, result.artifact


def test_a_cluster_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    store = FolderJobStore(tmp_path)
    began = time.monotonic()
    with (
        pytest.raises(ResidencyError, match="does not answer"),
        open_runner(store, cluster="127.0.0.1:1"),
    ):
        pass
    assert time.monotonic() - began < 30
