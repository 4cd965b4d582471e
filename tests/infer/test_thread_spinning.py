"""Waiting threads spin where nothing else wants the cores, and sleep beside other work."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import torch

from residency.infer.thread_spinning import LOOK_AGAIN, SpinControl, run_in_ending_thread


def count_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


class Machine:
    """A computing thread's times, as the operating system would count them."""

    def __init__(self) -> None:
        self.now = self.ran = self.waited = 0.0
        self.control = SpinControl(lambda: (self.ran, self.waited), lambda: self.now)
        self.control.note_step()

    def compute(self, share: float, seconds: float = 1.0) -> bool:
        """Work that waits for a core for a share of its time; whether threads sleep then."""
        self.now += seconds
        self.ran += seconds * (1 - share)
        self.waited += seconds * share
        self.control.note_step()
        return self.control.sleeps


def test_threads_sleep_beside_other_work_and_spin_again_after_it() -> None:
    machine = Machine()
    assert not machine.compute(0.02)
    assert machine.compute(0.33)
    assert machine.compute(0.33)
    assert not machine.compute(0.05)
    assert not machine.compute(0.9, LOOK_AGAIN / 10)  # too short to tell
    assert machine.compute(0.5)
    machine.control.close()
    assert not machine.control.sleeps


def test_a_server_that_nobody_asks_judges_nothing() -> None:
    machine = Machine()
    assert machine.compute(0.5)
    machine.now += 60.0
    machine.waited += 0.01
    machine.control.note_step()
    assert machine.control.sleeps


def test_threads_sleep_where_nobody_counts_their_waiting() -> None:
    control = SpinControl(lambda: None)
    control.note_step()
    assert control.sleeps
    control.close()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no list of threads here")
def test_the_team_of_an_ending_thread_ends_with_it() -> None:
    def multiply() -> float:
        torch.set_num_threads(2)
        return float((torch.ones(1 << 18).add_(1)).sum())

    multiply()  # this thread's own team, and what is made once
    before, threads = count_threads(), torch.get_num_threads()
    try:
        assert run_in_ending_thread(multiply) == 2.0 * (1 << 18)
    finally:
        torch.set_num_threads(threads)
    end = time.monotonic() + 10.0
    while count_threads() > before and time.monotonic() < end:
        time.sleep(0.01)  # they are on their way out
    assert count_threads() <= before
    with pytest.raises(ZeroDivisionError):
        run_in_ending_thread(lambda: 1 / 0)
    assert not [t for t in threading.enumerate() if t.name.startswith("residency-load")]
