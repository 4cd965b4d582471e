"""Moderation and request log of a project, as its settings ask for them: more are added here."""

from __future__ import annotations

from residency.project.workspace import Workspace
from residency.serve.hooks import Hooks, InputModerator, OutputModerator, RequestObserver
from residency.serve.moderate_requests import (
    AnswerModerator,
    RequestModerator,
    open_project_moderator,
)
from residency.serve.record_requests import RequestLog


def open_hooks(ws: Workspace) -> Hooks:
    """What joins this project's server.

    Raises:
        ConfigError: a setting of moderation or of the request log cannot be followed.
    """
    inputs: list[InputModerator] = []
    outputs: list[OutputModerator] = []
    observers: list[RequestObserver] = []
    prompt_moderator, answer_moderator = (
        open_project_moderator(ws, side) for side in ("input", "output")
    )
    if prompt_moderator.versions:
        inputs.append(RequestModerator(prompt_moderator))
    if answer_moderator.versions:
        outputs.append(AnswerModerator(answer_moderator))
    settings = ws.config.serve
    if settings.log_requests:
        observers.append(
            RequestLog(ws.store, keep_texts=settings.keep_texts, keep_days=settings.keep_days)
        )
    texts = settings.log_requests and settings.keep_texts
    return Hooks(tuple(inputs), tuple(outputs), tuple(observers), texts=texts)
