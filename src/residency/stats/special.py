"""SciPy's special functions, loaded when the first is used: that takes 0.4 s, and ``status`` needs none."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """A function of ``scipy.special``."""
    import scipy.special

    return getattr(scipy.special, name)
