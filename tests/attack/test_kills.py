"""A run ended at its durable operations goes on to the same bytes (benchmarks/kills.py: many more)."""

from __future__ import annotations

import multiprocessing
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from kills import read_essence, run_and_end
from small import save_model, save_project

pytestmark = pytest.mark.slow
KILLS = 10


def start_run(folder: Path, number: int, kind: int = signal.SIGKILL, counted: str = "") -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["residency.loop.run_loop", "residency.infer.local_engine", "residency.train.train_loop"]
    )
    process = context.Process(target=run_and_end, args=(str(folder), number, kind, counted))
    process.start()
    process.join(300)
    return process


def test_a_run_ended_at_any_durable_operation_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model")
    whole = save_project(tmp_path / "whole", model)
    counted = tmp_path / "count"
    assert start_run(whole, 0, counted=str(counted)).exitcode == 0
    operations = int(counted.read_text())
    assert operations > 50
    draw = random.Random(11)
    folder = save_project(tmp_path / "killed", model)
    ended = 0
    while ended < KILLS:
        # From where the run stands now, at most what is left: later kills meet later stages.
        kind = signal.SIGTERM if ended % 4 == 3 else signal.SIGKILL
        process = start_run(folder, draw.randrange(1, operations // 4), kind)
        if process.exitcode == 0:
            break
        assert process.exitcode in (-signal.SIGKILL, -signal.SIGTERM, 143), process.exitcode
        ended += 1
    assert ended > 3
    if not read_essence(folder)["complete"]:
        assert start_run(folder, 0).exitcode == 0
    assert read_essence(folder) == read_essence(whole)
