"""The room that joins the rooms: it passes nouns on and saves between them.

Names are imported when first used: ``residency base`` need not wait for what ``residency run`` needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from residency.rounds.new_project import Initialised, init
    from residency.rounds.project import Project
    from residency.rounds.summary import IssueRow, RoundRow, RunSummary, status

_HOMES = {
    "Initialised": "new_project",
    "IssueRow": "summary",
    "Project": "project",
    "RoundRow": "summary",
    "RunSummary": "summary",
    "init": "new_project",
    "status": "summary",
}

__all__ = ["Initialised", "IssueRow", "Project", "RoundRow", "RunSummary", "init", "status"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
