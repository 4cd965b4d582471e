"""Threads of a product that wait for one another spin for a moment, and then sleep.

At the end of each product the threads meet. By default they spin there for long; on a machine with other
work a thread that spins takes the core which the one that it waits for needs, and two threads
become slower than one (``model/thread_spinning.py`` sees to that). The settings are read when the thread
library is loaded, so this must be called before PyTorch is imported, and it imports nothing. What the
user has set stays.
"""

from __future__ import annotations

import os

SETTINGS = {"GOMP_SPINCOUNT": "30000", "KMP_BLOCKTIME": "1"}
"""Turns of GNU's library, and milliseconds of LLVM's and Intel's, before a waiting thread sleeps.

On two idle cores of Zen 4 a token of SmolLM2-135M alone takes 22 ms so, and 30 where a thread is woken for each product
(``docs/performance.md``)."""


def limit_spinning() -> None:
    """Set ``SETTINGS`` for this process and its children, where nothing is set."""
    if "OMP_WAIT_POLICY" in os.environ:
        return
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
