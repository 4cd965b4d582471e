"""A request's body off the wire, as its kind; one that cannot be read is recorded like any other."""

from __future__ import annotations

import asyncio
import time
import uuid

from starlette.requests import Request

from residency.serve.api_errors import ApiError
from residency.serve.hooks import RequestRecord
from residency.serve.read_request import Kind, read_request
from residency.serve.request_records import RequestRecords

BODY_SECONDS = 30.0
"""A body that is not there after this long is given up."""


async def take_request(kind: type[Kind], request: Request, records: RequestRecords) -> Kind:
    """The body as its kind.

    Raises:
        ApiError: it is too large or too slow, or says what cannot be honoured.
    """
    came, began = time.time(), time.monotonic()
    try:
        return read_request(kind, await _read_body(request))
    except ApiError as error:
        records.add(
            RequestRecord(
                id=make_request_id("refused"), time=came, endpoint=request.url.path,
                model="", model_id="", status=error.status,
                seconds=time.monotonic() - began, error=error.code or error.kind,
            )
        )  # fmt: skip
        raise


def make_request_id(prefix: str) -> str:
    """A new id, e.g. ``chatcmpl-…``."""
    return f"{prefix}-{uuid.uuid4().hex}"


async def _read_body(request: Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.body()
    except TimeoutError:
        raise ApiError(408, "The body did not arrive in time.", code="slow_body") from None
