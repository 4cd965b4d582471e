"""Moderation and request log of a project, as its settings ask for them: the one place to add some."""

from __future__ import annotations

from residency.project.workspace import Workspace
from residency.serve.hooks import Hooks


def open_hooks(ws: Workspace) -> Hooks:
    """What joins this project's server.

    Raises:
        ConfigError: a setting of moderation or of the request log cannot be followed.
    """
    return Hooks()
