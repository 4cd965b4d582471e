"""What is remembered is worked out once, by one, and never where it failed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from residency.web.remembered import Remembered


def test_many_that_ask_at_once_are_answered_by_one_working_out() -> None:
    known: Remembered[int] = Remembered()
    made: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def make() -> int:
        made.append(1)
        begun.set()
        assert go_on.wait(60)
        return 7

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(known.find, "slow", make) for _ in range(3)]
        assert begun.wait(60)
        other = pool.submit(known.find, "other", lambda: 8).result(60)  # it waits for nobody
        go_on.set()
        assert [answer.result(60) for answer in answers] == [7, 7, 7]
    assert (other, made) == (8, [1])


def test_a_failure_is_not_remembered() -> None:
    known: Remembered[int] = Remembered()

    def fail() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        known.find("key", fail)
    assert not known.knows("key")
    assert known.find("key", lambda: 3) == 3


def test_what_was_not_asked_for_longest_is_forgotten_first() -> None:
    known: Remembered[str] = Remembered(most=2)
    for key in ("a", "b", "a", "c"):
        known.find(key, lambda key=key: key)  # type: ignore[misc]
    assert [known.knows(key) for key in ("a", "b", "c")] == [True, False, True]
