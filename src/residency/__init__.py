"""Residency: from a general language model to a specialist, in rounds, with proof.

from residency import Project, init
init(Path("demo"), example="tickets")
summary = Project.open("demo").run()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from residency.commands.init import init
    from residency.commands.project import Project
    from residency.results.run_summary import RunSummary

__version__ = "0.1.0"
__all__ = ["Project", "RunSummary", "__version__", "init"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for, so that `residency --help` and `import residency.nouns` stay instant.
    homes = {
        "Project": "residency.commands.project",
        "RunSummary": "residency.results.run_summary",
        "init": "residency.commands.init",
    }
    if name not in homes:
        raise AttributeError(f"module 'residency' has no attribute {name!r}")
    return getattr(import_module(homes[name]), name)
