"""Threads of a product that wait for one another sleep soon, rather than spin.

At the end of each product the threads meet. By default they spin there; on a machine with other
work a thread that spins takes the core which the one that it waits for needs, and two threads
become slower than one. The settings are read when the thread library is loaded, so this must be
called before PyTorch is imported, and it imports nothing. What the user has set stays.
"""

from __future__ import annotations

import os

SETTINGS = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "1"}
"""Turns of GNU's library, and milliseconds of LLVM's and Intel's, before a waiting thread sleeps."""
SERVER_SPINS = "30000"
"""Turns in a server, whose products for one answer are short, where nothing else wants the cores
(``infer/thread_spinning.py`` sees to that): a token of SmolLM2-135M takes 22 ms on two cores of Zen 4, and 30 where
a thread is woken for each product (``docs/performance.md``)."""


def let_threads_sleep(*, server: bool = False) -> None:
    """Set ``SETTINGS`` for this process and its children, where nothing is set."""
    if "OMP_WAIT_POLICY" in os.environ:
        return
    settings = SETTINGS | ({"GOMP_SPINCOUNT": SERVER_SPINS} if server else {})
    for name, value in settings.items():
        os.environ.setdefault(name, value)
