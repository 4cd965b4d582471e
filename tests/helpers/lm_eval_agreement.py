"""The same benchmark items asked by us and by lm-evaluation-harness."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from bench_rows import GivenSplits, Rows
from residency.evaluate.benchmarks.run_tasks import BenchResult, run_tasks, write_requests
from residency.evaluate.benchmarks.task_registry import find_tasks
from residency.infer.local_engine import LocalEngine


def agree(
    rows: Rows, local: LocalEngine, found: dict[str, Any], shots: int, limit: int
) -> BenchResult:
    """Same prompts, log-likelihoods within 1e-4, identical metrics; gives our own result."""
    tasks = find_tasks(list(rows))
    ours: BenchResult = run_tasks(tasks, GivenSplits(rows), local, limit=limit, shots=shots)
    for task in tasks:
        asked = write_requests(task, GivenSplits(rows), limit=limit, shots=shots)
        theirs = sorted(found["samples"][task.name], key=lambda sample: sample["doc_id"])
        items = [item for item in ours.items if item.task == task.name]
        assert len(theirs) == len(items) > 0
        for sample, item, request in zip(theirs, items, asked.requests, strict=True):
            expected = [tuple(pair) for pair in sample["arguments"]]
            assert [(c.context, c.continuation) for c in request] == expected
            digest = hashlib.sha256(expected[0][0].encode()).hexdigest()
            assert item.prompt == f"sha256:{digest}"
            sums = [pair[0] for pair in sample["filtered_resps"]]
            assert list(item.logprobs) == pytest.approx(sums, abs=1e-4)
        for name, metric in ours.metrics[task.name].items():
            theirs_name = "acc" if name in ("mc1", "mc2") else name
            value = found["results"][task.name][f"{theirs_name},none"]
            error = found["results"][task.name][f"{theirs_name}_stderr,none"]
            tolerance = 1e-4 if name == "mc2" else 1e-12
            assert metric.value == pytest.approx(float(value), abs=tolerance), (task.name, name)
            if error != "N/A":
                assert metric.stderr == pytest.approx(float(error), abs=max(tolerance, 1e-9))
    return ours
