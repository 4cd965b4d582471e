"""Records of requests that are over, handed to observers one after the other."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from residency.serve.hooks import RequestObserver, RequestRecord

log = logging.getLogger("residency.serve")


class RequestRecords:
    """Tells observers of each request in a separate thread, so that a slow one delays no client."""

    def __init__(self, observers: Sequence[RequestObserver]) -> None:
        self._observers = tuple(observers)
        self._thread = ThreadPoolExecutor(1, "residency-records")

    def add(self, record: RequestRecord) -> None:
        """Tell the observers, soon."""
        self._thread.submit(self._tell, record)

    def close(self) -> None:
        """Tell what is not told yet; then observers write what they hold."""
        self._thread.shutdown(wait=True)
        for observer in self._observers:
            observer.close()

    def _tell(self, record: RequestRecord) -> None:
        for observer in self._observers:
            try:
                observer.request_finished(record)
            except Exception as error:
                log.error("an observer of requests failed: %s", type(error).__name__)
