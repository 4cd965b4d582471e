"""``POST /v1/feedback``: what a person says of an answer, by the request's id."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from residency.errors import ResidencyError
from residency.nouns.served_request import Feedback
from residency.serve.record_requests import PAUSE
from residency.store.store import Store

LONGEST_ANSWER = 100_000
LONGEST_REASON = 4_000
LONGEST_WAIT = 5 * PAUSE
"""Seconds until a request that is not in the log is said to be unknown."""


class FeedbackBody(BaseModel):
    """What a client sends. At least one of thumb, answer and reason says something."""

    model_config = ConfigDict(extra="forbid")

    request_id: Annotated[str, Field(min_length=1, max_length=64)]
    thumb: Literal["up", "down"] | None = None
    answer: Annotated[str, Field(max_length=LONGEST_ANSWER)] = ""
    reason: Annotated[str, Field(max_length=LONGEST_REASON)] = ""

    @model_validator(mode="after")
    def _say_something(self) -> FeedbackBody:
        if not (self.thumb or self.answer.strip() or self.reason.strip()):
            raise ValueError("one of thumb, answer and reason is expected")
        return self


def make_feedback_routes(store: Store) -> APIRouter:
    """The route, for the server's application."""
    router = APIRouter()

    @router.post("/v1/feedback", response_model=None)
    def add_feedback(body: FeedbackBody) -> dict[str, Any] | JSONResponse:
        """Store it. ``usable`` is False where the request's text is not remembered, so that a better
        answer cannot become a training row."""
        try:
            if not _wait_for_request(store, body.request_id):
                return _refuse(404, "no request of this id was served here (or it is not over yet)")
            store.add_feedback(
                Feedback(
                    body.request_id,
                    time.time(),
                    body.thumb or "",
                    _clean(body.answer.strip()),
                    _clean(body.reason.strip()),
                )
            )
            usable = store.has_request_text(body.request_id)
        except ResidencyError:
            return _refuse(503, "the feedback cannot be stored now; send it again later")
        return {"object": "feedback", "request_id": body.request_id, "usable": usable}

    return router


def _wait_for_request(store: Store, request: str) -> bool:
    """Whether the request is in the log, which is written a moment after its answer."""
    end = time.monotonic() + LONGEST_WAIT
    while not store.has_request(request):
        if time.monotonic() > end:
            return False
        time.sleep(PAUSE / 4)
    return True


def _clean(text: str) -> str:
    """Text that a database can hold: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _refuse(status: int, message: str) -> JSONResponse:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return JSONResponse({"error": {"message": message, "type": kind, "code": None}}, status)
