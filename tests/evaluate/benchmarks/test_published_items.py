"""Benchmarks against lm-evaluation-harness on SmolLM2-135M and published items.

Skipped where the model or the items are absent: fetch the model with
``residency base fetch smollm2-135m`` (or set RESIDENCY_SMOLLM2 to its folder), and set
RESIDENCY_REALDATA to a folder with bench_arc, bench_hellaswag, bench_mmlu and bench_truthfulqa.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bench_rows import Rows, harness
from lm_eval_agreement import agree
from residency.errors import ResidencyError
from residency.evaluate.benchmarks.load_rows import LocalSplits
from residency.evaluate.benchmarks.run_tasks import run_tasks
from residency.evaluate.benchmarks.task_registry import find_tasks
from residency.infer.local_engine import LocalEngine

pytest.importorskip("lm_eval", reason="lm-eval is not installed")
DATA = Path(os.environ.get("RESIDENCY_REALDATA", Path(__file__).parents[4] / "shared" / "realdata"))
SUBJECTS = ("mmlu_anatomy", "mmlu_marketing", "mmlu_world_religions")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not (DATA / "bench_arc").is_dir(), reason="published items are not here"),
]


def base_folder() -> Path:
    """SmolLM2-135M-Instruct where it lies; the test is skipped when it does not."""
    from residency.model.base_model import resolve_base

    if named := os.environ.get("RESIDENCY_SMOLLM2"):
        return Path(named)
    try:
        return resolve_base("smollm2-135m", fetch=False).path
    except ResidencyError as error:
        pytest.skip(f"SmolLM2-135M is not here: {error.what}")


@pytest.fixture(scope="module")
def local() -> LocalEngine:
    from residency.chat.chat_format import ChatFormat
    from residency.model.load_model import load_tokenizer

    base = base_folder()
    return LocalEngine(base, ChatFormat(load_tokenizer(base)), device="cpu")


def published(count: int, pool: int) -> Rows:
    """The first items of each benchmark, brought into the hub's layout."""
    splits = LocalSplits(DATA)
    out: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for task in find_tasks(["arc", "hellaswag", "truthfulqa", *SUBJECTS]):
        out[task.name] = {task.test[0]: [dict(row) for row in splits.rows(task, task.test)[:count]]}
        if task.shots_from:  # HellaSwag's are later rows of the same split, as there is no other
            start = count if task.name == "hellaswag" else 0
            examples = splits.rows(task, task.shots_from)[start : start + pool]
            out[task.name][task.shots_from[0]] = [dict(row) for row in examples]
    return out


def test_the_harness_is_equalled_on_a_real_model(local: LocalEngine) -> None:
    rows = published(6, 20)
    found = harness(
        {name: found for name, found in rows.items() if not name.startswith("truthful")},
        local.model,
        local.tokenizer,
        shots=2,
    )
    agree({n: f for n, f in rows.items() if not n.startswith("truthful")}, local, found, 2, 0)
    truthful = {name: found for name, found in rows.items() if name.startswith("truthful")}
    agree(truthful, local, harness(truthful, local.model, local.tokenizer, shots=None), 0, 0)


def test_a_real_model_is_well_above_chance(local: LocalEngine) -> None:
    """A mistake that both sides shared would show here: ARC easy is near 0.25 by chance."""
    tasks = find_tasks(["arc_easy"])
    found = run_tasks(tasks, LocalSplits(DATA), local, limit=60, shots=0)
    metric = found.metrics["arc_easy"]["acc"]
    assert metric.value - 2 * metric.stderr > 0.3
