"""Errors as OpenAI's API writes them."""

from __future__ import annotations

import math
from typing import Any

from starlette.responses import JSONResponse


class ApiError(Exception):
    """A request that is not answered.

    Args:
        status: of HTTP. message: for the client; holds nothing that it did not send itself.
        kind: OpenAI's ``type``. param: the parameter that is wrong. code: a short fixed name.
        retry_after: seconds after which it may try again.
    """

    def __init__(
        self, status: int, message: str, *, kind: str = "invalid_request_error",
        param: str | None = None, code: str | None = None, retry_after: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status, self.message, self.kind = status, message, kind
        self.param, self.code, self.retry_after = param, code, retry_after

    def to_dict(self) -> dict[str, Any]:
        """The body of the answer."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }

    def to_response(self) -> JSONResponse:
        """The answer."""
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(self.to_dict(), self.status, headers)


def refuse_parameter(name: str, why: str, code: str = "invalid_value") -> ApiError:
    """A parameter that is wrong, by its name."""
    return ApiError(400, f"{name}: {why}", param=name, code=code)


def report_full_queue(retry_after: float) -> ApiError:
    """Too many requests are waiting."""
    return ApiError(
        429, "The server has as many requests as it can hold. Try again later.",
        kind="rate_limit_error", code="queue_full", retry_after=retry_after,
    )  # fmt: skip


def report_timeout(seconds: float) -> ApiError:
    """A request took longer than the server allows."""
    return ApiError(
        504, f"The answer was not complete after {seconds:g} seconds.", kind="timeout_error",
        code="timeout",
    )  # fmt: skip


def report_defect() -> ApiError:
    """Something of ours failed; the client is not told what."""
    return ApiError(500, "The server failed on this request.", kind="server_error", code="internal")
