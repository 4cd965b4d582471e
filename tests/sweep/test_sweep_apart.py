"""A sweep as a process of its own: stopped from outside, and gone on with."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from residency.commands.run_apart import start_run
from residency.commands.sweep_apart import read_sweep_state, start_sweep, stop_sweep
from residency.errors import StoreError, StoreLockedError
from residency.store.record_kind import RecordKind
from residency.store.store import Store
from residency.sweep.sweep_options import SweepOptions
from small import save_model, save_project


def wait_until(is_so: Callable[[], bool], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)


@pytest.mark.slow
def test_a_sweep_is_stopped_from_outside_and_goes_on(tmp_path: Path) -> None:
    root = save_project(tmp_path / "project", save_model(tmp_path / "model"))
    options = SweepOptions(shares=(0.5, 1.0), seeds=2, minutes=0)
    start_sweep(root, options)

    def has_done_some() -> bool:
        state = read_sweep_state(root)
        return state.position is not None and state.position.done >= 2

    wait_until(has_done_some)
    with pytest.raises(StoreLockedError, match="residency sweep works on this project"):
        start_run(root)
    with pytest.raises(StoreLockedError):
        start_sweep(root, options)
    stop_sweep(root)
    wait_until(lambda: not read_sweep_state(root).is_running)
    stopped = read_sweep_state(root)
    assert stopped.is_stopped and "What was done is kept" in stopped.last_words
    with pytest.raises(StoreError, match="no sweep goes on"):
        stop_sweep(root)
    start_sweep(root, options)
    wait_until(lambda: len(Store(root, create=False).records(RecordKind.SWEEP)) == 1)
    wait_until(lambda: not read_sweep_state(root).is_running)
    state = read_sweep_state(root)
    assert state.position is not None and state.position.done == state.position.total >= 5
    assert not state.is_stopped
