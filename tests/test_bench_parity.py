"""Benchmarks against lm-evaluation-harness itself, on a tiny random model and rows of our own."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from bench_rows import GivenSplits, Rows, all_rows, harness, mmlu
from infer_models import CONFIGS, SHAPE, engine, folder
from residency.evaluate.benchmarks.run_tasks import BenchResult, ask, run_tasks
from residency.evaluate.benchmarks.score_items import Metric, pool
from residency.evaluate.benchmarks.tasks import find_tasks
from residency.infer.local_engine import LocalEngine

pytest.importorskip("lm_eval", reason="lm-eval is not installed")
pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # lm-eval's own imports warn
    pytest.mark.usefixtures("offline"),
]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> LocalEngine:
    """A random model of 1024 tokens' context."""
    from transformers import LlamaConfig

    CONFIGS["long"] = lambda: LlamaConfig(**{**SHAPE, "max_position_embeddings": 1024})
    try:
        return engine(folder(tmp_path_factory.mktemp("long"), "long"))
    finally:
        del CONFIGS["long"]


def agree(
    rows: Rows, local: LocalEngine, found: dict[str, Any], shots: int, limit: int
) -> BenchResult:
    """Same prompts, log-likelihoods within 1e-4, identical metrics; gives our own result."""
    tasks = find_tasks(list(rows))
    ours: BenchResult = run_tasks(tasks, GivenSplits(rows), local, limit=limit, shots=shots)
    for task in tasks:
        asked = ask(task, GivenSplits(rows), limit=limit, shots=shots)
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


@pytest.mark.parametrize("shots", [0, 3])
def test_prompts_log_likelihoods_and_metrics_equal_the_harness(
    shots: int, local: LocalEngine
) -> None:
    rows = all_rows()
    if shots:  # TruthfulQA has its own fixed examples and takes no others
        rows = {name: found for name, found in rows.items() if not name.startswith("truthful")}
    found = harness(rows, local.model, local.tokenizer, shots=shots)
    agree(rows, local, found, shots, 0)


def test_contexts_that_are_too_long_are_cut_as_the_harness_cuts_them(tmp_path: Path) -> None:
    short = engine(folder(tmp_path / "short", "llama"))
    rows = {name: found for name, found in all_rows().items() if name.startswith("arc")}
    found = harness(rows, short.model, short.tokenizer, shots=12, limit=3)
    longest = max(
        len(short.tokenizer.encode(choice.context))
        for task in find_tasks(["arc_easy"])
        for request in ask(task, GivenSplits(rows), shots=12).requests
        for choice in request
    )
    assert longest > short.context
    agree(rows, short, found, 12, 3)


def test_all_of_mmlu_and_its_groups_equal_the_harness(local: LocalEngine) -> None:
    """57 subjects of unequal size: each subject's wording, and the weighted averages."""
    tasks = find_tasks(["mmlu"])
    assert len(tasks) == 57
    rows: Rows = {
        task.name: {"dev": mmlu(5, 100 + at), "test": mmlu(2 + at % 4, 200 + at)}
        for at, task in enumerate(tasks)
    }
    found = harness(rows, local.model, local.tokenizer, shots=1, tasks=["mmlu"])
    ours = agree(rows, local, found, 1, 0)
    for group in ("mmlu", "mmlu_stem", "mmlu_humanities", "mmlu_social_sciences", "mmlu_other"):
        theirs, metric = found["groups"][group], ours.metrics[group]["acc"]
        assert metric.value == pytest.approx(theirs["acc,none"], abs=1e-12), group
        assert metric.stderr == pytest.approx(theirs["acc_stderr,none"], abs=1e-9), group
        assert metric.n == sum(ours.metrics[t.name]["acc"].n for t in find_tasks([group]))


def test_groups_are_pooled_as_the_harness_pools_them() -> None:
    from lm_eval.api.metrics import aggregate_subtask_metrics, pooled_sample_stderr

    metrics = [Metric(0.4, 0.02, 120), Metric(0.3, 0.05, 40), Metric(0.6, 0.1, 11)]
    sizes, errors = [m.n for m in metrics], [m.stderr for m in metrics]
    pooled = pool(metrics)
    assert pooled.stderr == pytest.approx(pooled_sample_stderr(errors, sizes))
    assert pooled.value == pytest.approx(
        aggregate_subtask_metrics([m.value for m in metrics], sizes, weight_by_size=True)
    )
