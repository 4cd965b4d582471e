"""A run that is ended again and again goes on to the same bytes (benchmarks/kills.py: many more)."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import signal
from pathlib import Path

import pytest

from finished_run import copy_run
from kills import read_essence, run_and_end

CONTEXT = multiprocessing.get_context("forkserver")


def start_run(folder: Path, number: int = 0, kind: int = signal.SIGKILL) -> int | None:
    """Run a project in a child that is ended at its n-th durable operation; the exit code."""
    CONTEXT.set_forkserver_preload(
        ["residency.loop.run_loop", "residency.infer.local_engine", "residency.train.train_loop"]
    )
    process = CONTEXT.Process(target=run_and_end, args=(str(folder), number, kind))
    process.start()
    process.join(300)
    return process.exitcode


@pytest.mark.slow
def test_a_run_ended_at_its_durable_operations_goes_on_to_the_same_bytes(
    finished_run: Path, tmp_path: Path
) -> None:
    """Four ends, spread over the run: each is drawn from what the run still has before it."""
    draw = random.Random(11)
    folder = copy_run(finished_run, tmp_path / "project")
    shutil.rmtree(folder / ".residency")
    codes = []
    for attempt in range(4):
        kind = signal.SIGTERM if attempt % 3 == 2 else signal.SIGKILL
        codes.append(start_run(folder, draw.randrange(5, 80), kind))
        if codes[-1] == 0:
            break
        # A kill leaves its signal; SIGTERM is answered as Ctrl-C is, by 128 + 15.
        assert codes[-1] == (143 if kind == signal.SIGTERM else -signal.SIGKILL), codes
    assert len([code for code in codes if code]) >= 3, codes
    if codes[-1] != 0:
        assert start_run(folder) == 0
    assert read_essence(folder) == read_essence(finished_run)
    assert read_essence(folder)["weights"]
    assert not list((folder / ".residency").rglob("*.draft*"))
