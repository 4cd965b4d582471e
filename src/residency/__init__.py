"""Residency: from a general language model to a specialist, in rounds, with proof.

from residency import Project, init
init(Path("demo"), example="tickets")
summary = Project.open("demo").run()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from residency.project import Project
    from residency.rounds import RunSummary, init

__version__ = "0.1.0"
__all__ = ["Project", "RunSummary", "__version__", "init"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for, so that `residency --help` and `import residency.types` stay instant.
    if name == "Project":
        from residency.project import Project

        return Project
    if name in ("RunSummary", "init"):
        from residency import rounds

        return getattr(rounds, name)
    raise AttributeError(f"module 'residency' has no attribute {name!r}")
