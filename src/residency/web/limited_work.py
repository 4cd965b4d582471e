"""Work that a page waits for, with an end: after so many seconds, or when nobody waits any more."""

from __future__ import annotations

import time

from anyio import from_thread
from starlette.requests import Request

from residency.errors import EndpointError
from residency.interfaces import Progress, ProgressEvent


def limit_waiting(request: Request, seconds: float, what: str) -> Progress:
    """A progress that ends the work which tells it how far it is.

    For a page's function that is no coroutine: it runs in a thread of the server.

    Args:
        what: who is waited for, as a sentence begins ("the judge").

    Raises (the progress): EndpointError after so many seconds, or once the browser is gone.
    """
    end = time.monotonic() + seconds

    def check(event: ProgressEvent) -> None:
        is_gone = from_thread.run(request.is_disconnected)
        if not is_gone and time.monotonic() < end:
            return
        trouble = event.detail.get("trouble", "")
        told = f"{what} has answered {event.done} of {event.total} questions in {seconds:.0f} s"
        raise EndpointError(
            "nobody waits for it any more"
            if is_gone
            else told + (f" ({trouble})" if trouble else ""),
            next_step="try again: answers that came stay, and the rest is put again; the command below "
            "waits as long as it takes",
        )

    return check
