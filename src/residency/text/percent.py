"""A share as a sentence names it."""

from __future__ import annotations

import math


def write_percent(share: float | None, digits: int = 1) -> str:
    """``0.1234`` → ``12.3 %``; an en dash where there is nothing."""
    if share is None or math.isnan(share):
        return "–"
    return f"{100 * share:.{digits}f} %"
