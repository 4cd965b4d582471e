"""Whether threads that share a product spin while they wait for one another: where nothing else wants the cores.

Waking a thread for each product takes a third of the time of a token that is written alone, and a twentieth of a
training's step, so threads spin for a moment (``model/thread_waiting.py``). Beside other work a thread that spins takes
the core of the one that it waits for, and products take several times as long. GNU's OpenMP library hardly lets threads
spin while it manages more threads than there are cores (its manual, GOMP_SPINCOUNT). So it must manage no
more than those that compute: what else multiplies does it in a thread that ends (``run_in_ending_thread``).
And where the computing thread often waits for a core, a second team of threads is kept, which does nothing.
Whatever computes for long calls ``note_step`` after each of its steps.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch

LOOK_AGAIN = 0.5
"""Seconds between two looks at how long the computing thread waited."""
MOST_WAITING = 0.2
"""Share of its time that it may wait for a core. One more program that computes makes it a third on two cores."""
LEAST_WORK = 0.1
"""Seconds of work or waiting of which a share is taken."""
_PARALLEL = 1 << 17
"""Numbers that PyTorch adds in several threads."""
Result = TypeVar("Result")


def run_in_ending_thread(work: Callable[[], Result]) -> Result:
    """Call ``work`` in a thread that is gone afterwards, and the team of threads that it made with it.

    Raises:
        Exception: what ``work`` raises.
    """
    with ThreadPoolExecutor(1, "residency-load") as pool:
        return pool.submit(work).result()


def read_thread_times() -> tuple[float, float] | None:
    """Seconds that this thread ran, and that it waited for a core, so far; None where nobody counts them."""
    try:
        ran, waited, _ = Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()
        return int(ran) / 1e9, int(waited) / 1e9
    except (OSError, ValueError):
        return None


class SpinControl:
    """Lets threads spin or sleep, by how long the computing thread waits for a core.

    ``note_step`` and ``close`` are called by that thread. Where waiting is not counted, threads sleep.

    Args:
        read_times: of the computing thread. clock: seconds.
    """

    def __init__(
        self,
        read_times: Callable[[], tuple[float, float] | None] = read_thread_times,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read_times, self._clock = read_times, clock
        self._looked = float("-inf")
        self._times = (0.0, 0.0)
        self._release: threading.Event | None = None

    @property
    def sleeps(self) -> bool:
        """Whether waiting threads sleep at once."""
        return self._release is not None

    def note_step(self) -> None:
        """A step is over: look again, where the last look is long ago."""
        now = self._clock()
        if now - self._looked < LOOK_AGAIN:
            return
        first, self._looked = self._looked == float("-inf"), now
        times = self._read_times()
        if times is None:
            self._let_sleep()
            return
        ran, waited = (new - old for new, old in zip(times, self._times, strict=True))
        if not first and ran + waited < LEAST_WORK:
            return
        self._times = times
        if first:
            return
        if waited > MOST_WAITING * (ran + waited):
            self._let_sleep()
        else:
            self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let threads spin again."""
        if self._release is not None:
            self._release.set()
            self._release = None

    def _let_sleep(self) -> None:
        if self._release is None:
            self._release = threading.Event()
            threading.Thread(
                target=_keep_team, args=(self._release,), name="residency-team", daemon=True
            ).start()


class _ControlOfThread(threading.local):
    """Each computing thread's own."""

    def __init__(self) -> None:
        self.control = SpinControl()


_here = _ControlOfThread()


def note_step() -> None:
    """This thread has computed a step of something long: from time to time, see whether threads may spin."""
    if torch.get_num_threads() > 1:
        _here.control.note_step()


def _keep_team(release: threading.Event) -> None:
    """Make a team of threads, and keep it until ``release``."""
    torch.ones(_PARALLEL).add_(1)
    release.wait()
