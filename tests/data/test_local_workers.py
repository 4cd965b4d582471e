"""Blocks over processes of this machine: the same results in the same order, whatever becomes of them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from residency.data.local_workers import LocalWorkers


def square(value: int) -> tuple[int, int]:
    return value * value, os.getpid()


def kill_once(item: tuple[int, str]) -> int:
    value, mark = item
    if value == 7 and not Path(mark).exists():
        Path(mark).write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def fail(value: int) -> int:
    if value == 8:
        raise ValueError(f"nothing can be done with {value}")
    return value


def print_much(value: int) -> int:
    print("x" * 100_000)
    return value


@pytest.fixture(autouse=True)
def modules_of_tests_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    with LocalWorkers(workers, first=3) as spread:
        for count in (0, 1, 3, 4, 40):
            done = list(spread(square, iter(range(count))))
            assert [value for value, _ in done] == [n * n for n in range(count)]
            apart = {process for _, process in done} - {os.getpid()}
            assert len(apart) <= workers and bool(apart) == (workers > 1 and count > 3)


def test_a_killed_worker_loses_no_block(tmp_path: Path) -> None:
    items = [(n, str(tmp_path / "mark")) for n in range(30)]
    with LocalWorkers(2, first=2) as spread:
        assert list(spread(kill_once, items)) == list(range(30))
    assert int((tmp_path / "mark").read_text()) != os.getpid()


def test_what_cannot_be_sent_is_done_here() -> None:
    here = []
    with LocalWorkers(2, first=1) as spread:
        assert list(spread(lambda value: here.append(value) or value, range(9))) == list(range(9))
    assert here == list(range(9))


def test_an_error_is_the_callers_and_what_is_printed_is_no_answer() -> None:
    with LocalWorkers(2, first=1) as spread:
        assert list(spread(print_much, range(6))) == list(range(6))
        with pytest.raises(ValueError, match="nothing can be done with 8"):
            list(spread(fail, range(20)))


def test_no_process_outlives_its_use() -> None:
    with LocalWorkers(2, first=1) as spread:
        apart = {process for _, process in spread(square, range(9))} - {os.getpid()}
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{process}").exists() for process in apart):
        assert time.monotonic() < deadline
        time.sleep(0.05)
