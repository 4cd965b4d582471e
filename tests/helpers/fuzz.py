"""Damaged inputs tried one after the other: none may end in another error than the promised one.

A few run with every test. By hand, as many as wished, from another seed:

    pytest tests/attack -n 2 --fuzz 10000 --fuzz-seed 7
"""

from __future__ import annotations

import contextlib
import signal
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

Input = TypeVar("Input")
LONGEST = 10
"""Seconds that one input may take."""
MOST_MEMORY = 1 << 20
"""Kilobytes that one input may add to the process's size while it is tried."""


class HangError(BaseException):
    """An input took too long; no ``except Exception`` of the code under attack may swallow it."""


@dataclass(frozen=True)
class Fuzz:
    """How many inputs a test tries, and from which seed; ``folder`` keeps an input that failed."""

    folder: Path
    inputs: int = 0
    seed_offset: int = 0

    def count(self, usual: int) -> int:
        """Inputs to try where ``usual`` run with every test."""
        return self.inputs or usual

    def seed(self, usual: int) -> int:
        """The seed where a test has its own."""
        return usual + self.seed_offset

    def attack(
        self,
        inputs: Iterable[Input],
        try_input: Callable[[Input], object],
        refusals: tuple[type[Exception], ...],
    ) -> Counter[str]:
        """Try every input; it is read, or refused by one of ``refusals`` with words.

        Raises:
            AssertionError: another error, a hang, or too much memory; it names the input.
        """
        outcomes: Counter[str] = Counter()
        earlier = signal.signal(signal.SIGALRM, _end_input)
        try:
            for number, value in enumerate(inputs):
                signal.alarm(LONGEST)
                before = _begin_peak()
                try:
                    try_input(value)
                    outcomes["read"] += 1
                except refusals as error:
                    str(error).encode()  # what is printed can be printed
                    assert str(error)
                    outcomes["refused"] += 1
                except BaseException as error:
                    raise AssertionError(
                        f"{type(error).__name__}: {error} (input {number}: {self._keep(value)})"
                    ) from error
                finally:
                    signal.alarm(0)
                grown = _read_memory("VmHWM") - before
                assert grown < MOST_MEMORY, f"{grown >> 10} MB more ({number}: {self._keep(value)})"
        finally:
            signal.signal(signal.SIGALRM, earlier)
        return outcomes

    def _keep(self, value: Any) -> Path:
        path = self.folder / "failed-input"
        data = value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")
        path.write_bytes(data)
        return path


def _begin_peak() -> int:
    """Kilobytes of this process now, from where its largest size is counted anew."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _read_memory("VmRSS")


def _read_memory(name: str) -> int:
    """A figure of this process in kilobytes; 0 where the system does not tell it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)


def _end_input(*_: Any) -> None:
    raise HangError(f"not done after {LONGEST} s")
