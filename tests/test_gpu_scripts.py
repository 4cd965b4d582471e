"""The scripts that wait for a GPU run on a CPU at small shapes, and find what they compare to agree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from small import save_model

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def run_script(name: str, *arguments: str) -> list[dict[str, Any]]:
    """The JSON lines that it prints."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / name), *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.slow
def test_training_on_a_card_is_timed() -> None:
    small = ("--models", "small", "--length", "32", "--batch", "2", "--rounds", "1")
    device, lora, full = run_script("train_gpu.py", "--device", "cpu", "--alone", *small)
    assert device["device"] == "cpu"
    assert lora["method"] == "lora" and full["method"] == "full"
    assert abs(lora["first loss"]["residency"] - full["first loss"]["residency"]) < 1e-3


@pytest.mark.slow
def test_a_cards_figures_are_held_against_the_cpus(tmp_path: Path) -> None:
    base = save_model(tmp_path / "model")
    parts = "losses,answers,choices,split,vllm"
    size = ("--length", "24", "--count", "3", "--budget", "4")
    lines = run_script(
        "gpu_checks.py", "--base", str(base), "--device", "cpu", "--parts", parts, *size
    )
    found = {line["part"]: line for line in lines[1:]}
    assert set(found) == set(parts.split(","))
    assert found["losses"]["lora fp32 gap"] == found["losses"]["full fp32 gap"] == 0
    assert found["losses"]["full bf16 gap"] < 0.1
    assert found["answers"]["equal"] == "3/3" and found["choices"]["largest gap"] == 0
    assert found["split"]["gap"] < 1e-4
