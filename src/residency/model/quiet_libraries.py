"""transformers, PEFT and bitsandbytes: without chatter, and without native code from a hub."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator

from residency.http.telemetry import silence_telemetry

HUB_KERNELS = "kernels"
"""The package by which bitsandbytes, when it is imported, fetches compiled code from a hub."""


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """No progress bars, no warnings, and nothing fetched by the libraries inside the block.

    Whoever imports PEFT also imports bitsandbytes where it is installed, and that looks for compiled
    code on the hub on some processors. Who imported it before keeps what they have.
    """
    silence_telemetry()
    from transformers.utils import logging as chatter

    level, bars = chatter.get_verbosity(), chatter.is_progress_bar_enabled()
    chatter.set_verbosity(logging.ERROR)
    chatter.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with _hide_hub_kernels(), warnings.catch_warnings():
            # What one library deprecates of another is nothing that a user could mend.
            warnings.simplefilter("ignore")
            yield
    finally:
        chatter.set_verbosity(level)
        if bars:
            chatter.enable_progress_bar()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _hide_hub_kernels() -> Iterator[None]:
    notes = logging.getLogger("bitsandbytes")
    earlier, hidden = notes.level, HUB_KERNELS not in sys.modules
    notes.setLevel(logging.ERROR)  # it tells that it found no such package
    if hidden:
        sys.modules[HUB_KERNELS] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        notes.setLevel(earlier)
        if hidden:
            del sys.modules[HUB_KERNELS]
