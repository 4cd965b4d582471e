"""The command line of a module in a process of its own."""

from __future__ import annotations

import sys


def make_python_command(module: str, *arguments: str) -> list[str]:
    """``python -m MODULE`` that looks for modules only where this process would.

    Plain ``-m`` puts the working folder first: a ``json.py`` that came with somebody's data would run.
    """
    return [sys.executable, "-P", "-m", module, *arguments]
