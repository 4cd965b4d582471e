"""The pages: their links in the bar, in the order of the work, and the files that hold them."""

from __future__ import annotations

from dataclasses import dataclass

MODULES = (
    "start",
    "start_data",
    "live_run",
    "overview",
    "comparison",
    "issues",
    "label",
    "rows",
    "items",
    "read",
    "review",
    "write",
    "data",
    "chat",
    "sweep",
    "ship",
)
"""Files of ``web/pages``; each has ``add_routes(app, site)``."""


@dataclass(frozen=True)
class Link:
    """A link of the bar. ``needs_run`` says that there is nothing to see before the first run."""

    path: str
    name: str
    needs_run: bool = True


LINKS = (
    Link("/start", "Start", needs_run=False),
    Link("/run", "Run", needs_run=False),
    Link("/", "Overview"),
    Link("/issues", "Issues"),
    Link("/items", "Items"),
    Link("/read", "Read"),
    Link("/review", "Review"),
    Link("/write", "Write"),
    Link("/data", "Data"),
    Link("/chat", "Chat"),
    Link("/sweep", "Sweep", needs_run=False),
    Link("/ship", "Ship"),
    Link("/report", "Report"),
)
