"""Waiting threads spin where nothing else wants the cores, and sleep beside other work."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import torch

from infer_models import engine, folder, prompts
from residency.config.train import TrainConfig
from residency.interfaces import Choice, TokenRow
from residency.model import thread_spinning
from residency.model.load_model import load_model
from residency.model.thread_spinning import LOOK_AGAIN, SpinControl, run_in_ending_thread
from residency.nouns.response import Sampling
from residency.train.train_engine import Engine


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


class Counter:
    """Stands where a thread's control is, and counts the looks."""

    steps = 0

    def note_step(self) -> None:
        self.steps += 1


def test_answers_scores_and_trainings_look_after_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = folder(tmp_path, "llama")
    counter = Counter()
    monkeypatch.setattr(thread_spinning._here, "control", counter)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    local = engine(base)
    local.generate(prompts(2), Sampling(max_new_tokens=3))
    answered = counter.steps
    assert answered > 0
    local.score([[Choice("a lamp", " is on")]])
    scored = counter.steps
    assert scored == answered + 1
    row = TokenRow("e", (3, 4, 5, 6), (False, False, True, True))
    Engine(load_model(base), TrainConfig(layers="all"), total_steps=1).step([row])
    assert counter.steps == scored + 1
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    thread_spinning.note_step()
    assert counter.steps == scored + 1
