"""Nodes of a local Ray cluster are killed at random while a graph of jobs runs.

    python benchmarks/cluster_kills.py --kills 20

Every job must be done, with the result that one process gives, and none twice: a job whose
result was written is never started again. The seed fixes which node dies and after how long.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HELPERS = Path(__file__).parent.parent / "tests" / "helpers"


def main() -> None:
    """Run the graph on a cluster that loses nodes; compare with one process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each job")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = str(HELPERS)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    sys.path.insert(0, str(HELPERS))
    with tempfile.TemporaryDirectory() as folder:
        run(arguments, Path(folder))


def run(arguments: argparse.Namespace, folder: Path) -> None:
    """The graph on the cluster and in one process."""
    from ray.cluster_utils import Cluster

    from residency.jobs.job_store import FolderJobStore
    from residency.jobs.ray_cluster import RayJobs
    from residency.jobs.run_jobs import ThisProcess, run_jobs

    rng = random.Random(arguments.seed)
    cluster = start_patiently(
        lambda: Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
        )
    )
    for _ in range(arguments.nodes):
        start_patiently(lambda: cluster.add_node(num_cpus=1))
    log = folder / "log"
    jobs = make_jobs(arguments.jobs, log, arguments.seconds)
    store, here = FolderJobStore(folder / "cluster"), FolderJobStore(folder / "here")
    killed, next_kill, done = 0, 0.0, []

    class Losing(RayJobs):
        """The cluster, which loses a node now and then while it is waited for."""

        def wait(self) -> Any:
            nonlocal killed, next_kill
            while killed < arguments.kills:
                ended, _ = self._ray.wait(list(self._running), num_returns=1, timeout=0.2)
                if ended:
                    break
                if time.monotonic() >= next_kill:
                    victim = rng.choice(sorted(cluster.worker_nodes, key=lambda n: n.node_id))
                    cluster.remove_node(victim, allow_graceful=False)
                    start_patiently(lambda: cluster.add_node(num_cpus=1))
                    killed += 1
                    next_kill = time.monotonic() + rng.uniform(0.5, 1.5) * arguments.seconds
                    print(f"killed {killed}: {len(done)} of {len(jobs)} jobs done", flush=True)
            return super().wait()

    began = time.monotonic()
    with Losing(str(store.folder), cluster.address) as runner:
        results = run_jobs(jobs, store, runner, on_done=lambda job, _: done.append(job.id))
    seconds = time.monotonic() - began
    cluster.shutdown()
    started = [int(line) for line in log.read_text().split()]
    for job in jobs:
        job.place["seconds"] = 0  # type: ignore[index]
    expected = run_jobs(jobs, here, ThisProcess(here))
    same = all(
        (results[key].value, results[key].artifact) == (one.value, one.artifact)
        for key, one in expected.items()
    )
    print(
        f"{killed} nodes killed in {seconds:.0f} s; {len(results)} of {len(jobs)} jobs done, "
        f"{len(done) - len(set(done))} told twice, {len(started) - len(jobs)} attempts lost; "
        f"results {'equal' if same else 'DIFFER from'} one process"
    )
    if not same or len(set(done)) != len(jobs) or len(done) != len(set(done)):
        raise SystemExit(1)


def make_jobs(count: int, log: Path, seconds: float) -> list[Any]:
    """Numbers, sums of ten of them each, and the sum of the sums."""
    from residency.jobs.job import Job

    place = {"log": str(log), "seconds": seconds}
    name = "job_functions:add_numbers"
    parts = [Job(name, {"number": n}, place=dict(place)) for n in range(count)]
    sums = [
        Job(name, {"number": 1000 + n}, needs={p.id: p.id for p in parts[n : n + 10]}, place=dict(place))
        for n in range(0, count, 10)
    ]  # fmt: skip
    whole = Job(name, {"number": 5000}, needs={s.id: s.id for s in sums}, place=dict(place))
    return [*parts, *sums, whole]


def start_patiently(start: Callable[[], Any]) -> Any:
    """Ray gives its own processes 30 s, which a busy machine may not give them."""
    for attempt in range(4):
        try:
            return start()
        except Exception as error:
            if attempt == 3 or "timed out" not in str(error):
                raise
    return None


if __name__ == "__main__":
    main()
