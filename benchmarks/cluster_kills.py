"""Nodes of a local Ray cluster are killed at random while jobs run.

    python benchmarks/cluster_kills.py --kills 20             # jobs that add numbers
    python benchmarks/cluster_kills.py --kills 20 --trainings # a run with arms, then a sweep, on tiny

Every job must be done, with the result that one process gives, and none reported twice: a job whose
result was written is never started again. The seed fixes which node dies and after how long.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HELPERS = Path(__file__).parent.parent / "tests" / "helpers"
TIMES = {"seconds", "memory", "minutes_each", "estimate", "at", "id", "answer_seconds"}
"""What may differ between two runs of the same: times, and a plan's id, which holds one."""
SMALL = {
    "model.base": "tiny",
    "model.threads": 1,
    "data.limit": {"train": 60, "dev": 40, "test": 30, "pool": 200},
    "train.epochs": 2,
    "target.rows_per_issue": 8,
    "rounds.max": 2,
    "rounds.trainings": 2,
}
"""Settings of the tickets example with which a training takes some seconds."""


def main() -> None:
    """Run the jobs on a cluster that loses nodes; compare with one process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each job, and between kills")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trainings", action="store_true", help="real ones, on tiny")
    parser.add_argument("--seeds", type=int, default=6, help="trainings at each size of the sweep")
    arguments = parser.parse_args()
    paths = [str(HELPERS), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    sys.path.insert(0, str(HELPERS))
    with tempfile.TemporaryDirectory() as folder:
        losing = LosingCluster(arguments)
        began = time.monotonic()
        same = (run_trainings if arguments.trainings else run_sums)(losing, arguments, Path(folder))
        if not losing.tell(time.monotonic() - began, same):
            raise SystemExit(1)


class LosingCluster:
    """A head without processors, and nodes of one processor that die while jobs are waited for."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        from ray.cluster_utils import Cluster

        self._rng = random.Random(arguments.seed)
        self._most, self._every = arguments.kills, arguments.seconds
        head = {"num_cpus": 0, "include_dashboard": False}
        self._cluster = start_patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
        for _ in range(arguments.nodes):
            self._add_node()
        self.killed, self._next_kill, self._seconds = 0, 0.0, 0.0
        self.started: list[str] = []
        self.done: list[str] = []

    @contextmanager
    def open_runner(self, store: Any, **_: Any) -> Iterator[Any]:
        """In the place of the product's: jobs on this cluster."""
        from residency.jobs.ray_cluster import RayJobs

        losing = self

        class Losing(RayJobs):
            """Jobs on the cluster, which loses a node now and then while it is waited for."""

            def start(self, job: Any) -> None:
                losing.started.append(job.id)
                super().start(job)

            def wait(self) -> Sequence[Any]:
                while losing.killed < losing._most:
                    ended, _ = self._ray.wait(list(self._running), num_returns=1, timeout=0.2)
                    if ended:
                        break
                    losing.kill_when_due()
                outcomes = super().wait()
                losing.done += [one.job.id for one in outcomes if one.state == "done"]
                return outcomes

        began = time.monotonic()
        with Losing(store.address, self._cluster.address) as runner:
            self._next_kill = began + self._rng.uniform(0.5, 1.5) * self._every
            yield runner
        self._seconds += time.monotonic() - began

    def kill_when_due(self) -> None:
        """Kill a node if its time has come, and start another one."""
        if time.monotonic() < self._next_kill:
            return
        victim = self._rng.choice(sorted(self._cluster.worker_nodes, key=lambda n: n.node_id))
        self._cluster.remove_node(victim, allow_graceful=False)
        self._add_node()
        self.killed += 1
        self._next_kill = time.monotonic() + self._rng.uniform(0.5, 1.5) * self._every
        print(f"killed {self.killed}: {len(self.done)} jobs done", flush=True)

    def tell(self, seconds: float, same: bool) -> bool:
        """Print what happened; whether all is well."""
        self._cluster.shutdown()
        jobs = len(set(self.started))
        twice = len(self.done) - len(set(self.done))
        print(
            f"{self.killed} nodes killed in {self._seconds:.0f} of {seconds:.0f} s; "
            f"{len(set(self.done))} of {jobs} jobs done, {twice} reported twice, "
            f"{len(self.started) - jobs} attempts lost; "
            f"results {'equal' if same else 'DIFFER from'} one process"
        )
        return same and len(set(self.done)) == jobs and not twice

    def _add_node(self) -> None:
        start_patiently(lambda: self._cluster.add_node(num_cpus=1))


# --- jobs that add numbers ------------------------------------------------------------------


def run_sums(losing: LosingCluster, arguments: argparse.Namespace, folder: Path) -> bool:
    """Numbers, sums of ten of them each, and the sum of the sums; whether all are right."""
    from residency.jobs.job_store import FolderJobStore
    from residency.jobs.run_jobs import ThisProcess, run_jobs

    store, here = FolderJobStore(folder / "cluster"), FolderJobStore(folder / "here")
    jobs = make_jobs(arguments.jobs, folder / "log", arguments.seconds)
    with losing.open_runner(store) as runner:
        results = run_jobs(jobs, store, runner)
    for job in jobs:
        job.place["seconds"] = 0  # type: ignore[index]
    expected = run_jobs(jobs, here, ThisProcess(here))
    return all(
        (results[key].value, results[key].artifact) == (one.value, one.artifact)
        for key, one in expected.items()
    )


def make_jobs(count: int, log: Path, seconds: float) -> list[Any]:
    """The graph of ``run_sums``."""
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


# --- trainings -------------------------------------------------------------------------------


def run_trainings(losing: LosingCluster, arguments: argparse.Namespace, folder: Path) -> bool:
    """A run with arms and a sweep, on the cluster and in one process; whether both are the same."""
    import residency.jobs.loop_jobs as loop_jobs
    import residency.sweep.run_sweep as run_sweep
    from residency.commands.init import init
    from residency.commands.project import Project
    from residency.sweep.sweep_options import SweepOptions

    options = {"shares": (0.25, 0.5, 1.0), "seeds": arguments.seeds, "minutes": 0.0}
    projects = []
    for name in ("cluster", "here"):
        init(folder / name, example="tickets")
        projects.append(Project.open(folder / name, overrides=SMALL, as_opened=False))
    there, here = projects
    product = loop_jobs.open_runner, run_sweep.open_runner
    loop_jobs.open_runner = run_sweep.open_runner = losing.open_runner
    there.run(cluster="local")
    print(f"the run is done, {losing.killed} nodes killed", flush=True)
    swept = there.sweep(SweepOptions(**options, cluster="local"))
    loop_jobs.open_runner, run_sweep.open_runner = product
    here.run()
    expected = here.sweep(SweepOptions(**options))
    same = [
        list_stages(there) == list_stages(here),
        list_cells(there) == list_cells(here),
        [curve.words for curve in swept.curves] == [curve.words for curve in expected.curves],
    ]
    trainings = len(list_cells(here))
    stages = sum(key.startswith("train") for key in list_stages(here))
    print(f"the run's {stages} trainings, verdicts and figures equal: {same[0]}")
    print(f"the sweep's {trainings} trainings with answers: {same[1]}; its curves: {same[2]}")
    return all(same)


def list_stages(project: Any) -> dict[str, Any]:
    """Every stored step of a project's run: trainings by the hash of their weights, verdicts, figures."""
    store, run = project.store, project.run_id
    return {str(one.key): drop_times(store.stage(run, one.key)) for one in store.stages(run)}


def list_cells(project: Any) -> dict[str, Any]:
    """A sweep's trainings by job: model with the hash of its weights, loss, and every answer."""
    from residency.jobs.job_store import FolderJobStore
    from residency.jobs.job_workspace import read_answers

    store, cells = FolderJobStore(project.store.folder / "sweep"), {}
    for path in (store.folder / "results").glob("*.json"):
        result = store.find_result(path.stem)
        if result is not None and "training" in result.value:
            answers = read_answers(store.open_folder(result.artifact))
            texts = [(one.example, one.text, one.token_ids) for one in answers]
            cells[path.stem] = (drop_times(result.value), texts)
    return cells


def drop_times(value: Any) -> Any:
    """The value without times and memory, at any depth."""
    if isinstance(value, dict):
        return {key: drop_times(item) for key, item in value.items() if key not in TIMES}
    return [drop_times(item) for item in value] if isinstance(value, list) else value


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
