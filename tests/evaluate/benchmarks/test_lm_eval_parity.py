"""Benchmarks against lm-evaluation-harness itself, on a tiny random model and rows of our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench_rows import GivenSplits, Rows, all_rows, harness, mmlu
from infer_models import CONFIGS, SHAPE, engine, folder
from lm_eval_agreement import agree
from residency.evaluate.benchmarks.run_tasks import write_requests
from residency.evaluate.benchmarks.score_items import Metric, pool_metrics
from residency.evaluate.benchmarks.task_registry import find_tasks
from residency.infer.local_engine import LocalEngine

pytest.importorskip("lm_eval", reason="lm-eval is not installed")
pytestmark = [
    pytest.mark.slow,
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
        for request in write_requests(task, GivenSplits(rows), shots=12).requests
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
    pooled = pool_metrics(metrics)
    assert pooled.stderr == pytest.approx(pooled_sample_stderr(errors, sizes))
    assert pooled.value == pytest.approx(
        aggregate_subtask_metrics([m.value for m in metrics], sizes, weight_by_size=True)
    )
