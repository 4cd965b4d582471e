"""The request log: what the server tells of each request, into the project's store.

Requests wait in memory for a moment and are written together by a thread of this room, so that
neither the server nor its clients wait for a disk. A store that cannot be written costs records, never
answers; how many is told at the end.
"""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Callable

from residency.errors import ResidencyError
from residency.nouns.served_request import ModerationEvent, RequestText, ServedRequest, ServerTime
from residency.serve.hooks import RequestRecord
from residency.store.store import Store

HEARTBEAT = 30.0
"""Seconds between two signs of life; after a kill the uptime is known so far."""
PAUSE = 0.2
"""Seconds in which requests gather before they are written together."""
DAY = 86400.0
_FORGET_EVERY = 3600.0
_MOST_WAITING = 100_000


class RequestLog:
    """Remembers requests; see ``RequestObserver``.

    Args:
        keep_texts: remember prompts and answers, too. keep_days: for so many days.
    """

    def __init__(
        self,
        store: Store,
        *,
        keep_texts: bool,
        keep_days: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._clock = store, clock
        self._keep_texts, self._keep_days = keep_texts, keep_days
        self._waiting: queue.Queue[RequestRecord] = queue.Queue(_MOST_WAITING)
        self._id, self._started = uuid.uuid4().hex, clock()
        self._marked = self._forgotten = float("-inf")
        self.lost = 0
        self._closing = threading.Event()
        self._keep_house()
        self._thread = threading.Thread(target=self._write_on, name="request log", daemon=True)
        self._thread.start()

    def request_finished(self, record: RequestRecord) -> None:
        """Remember one more; returns at once."""
        try:
            self._waiting.put_nowait(record)
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """Write what waits, and that the server has ended."""
        self._closing.set()
        self._thread.join(timeout=30.0)
        while not self._waiting.empty():
            self._write_waiting()
        now = self._clock()
        self._try(lambda: self._store.mark_server(ServerTime(self._id, self._started, now, now)))

    def _write_on(self) -> None:
        while not self._closing.wait(PAUSE):
            self._write_waiting()
            self._keep_house()

    def _write_waiting(self) -> None:
        records: list[RequestRecord] = []
        while len(records) < 1000:
            try:
                records.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        if not records:
            return
        texts = [read_text(record) for record in records] if self._keep_texts else []
        requests = [read_request(record) for record in records]
        if not self._try(
            lambda: self._store.add_requests(requests, [row for row in texts if row is not None])
        ):
            self.lost += len(records)

    def _keep_house(self) -> None:
        """A sign of life, and the end of texts whose days are over."""
        now = self._clock()
        if now - self._marked >= HEARTBEAT:
            self._marked = now
            self._try(lambda: self._store.mark_server(ServerTime(self._id, self._started, now)))
        if now - self._forgotten >= _FORGET_EVERY:
            self._forgotten = now
            before = now - self._keep_days * DAY
            self._try(lambda: self._store.forget_texts(before, now))

    def _try(self, write: Callable[[], object]) -> bool:
        try:
            write()
        except ResidencyError:  # a full disk, or a database that does not answer
            return False
        return True


def read_request(record: RequestRecord) -> ServedRequest:
    """A request's figures, without any text of it."""
    return ServedRequest(
        id=record.id,
        time=record.time,
        endpoint=record.endpoint,
        model=record.model,
        model_id=record.model_id,
        status=record.status,
        queue_seconds=record.queue_seconds,
        first_token_seconds=record.first_token_seconds,
        seconds=record.seconds,
        prompt_tokens=record.prompt_tokens,
        answer_tokens=record.answer_tokens,
        cached_tokens=record.cached_tokens,
        finish=",".join(dict.fromkeys(record.finish)),
        error=record.error,
        streamed=record.streamed,
        moderation=read_events(record),
    )


def read_events(record: RequestRecord) -> tuple[ModerationEvent, ...]:
    """Each kind of each action once a side; an answer in pieces is judged many times."""
    events: dict[tuple[str, str, str], ModerationEvent] = {}
    for decision in record.decisions:
        side, _, judges = decision.by.partition(": ")
        for kind in decision.kind.split(", ") if decision.action != "allow" else ():
            event = ModerationEvent(side, kind, decision.action, judges, decision.seconds)
            events[side, kind, decision.action] = event
    return tuple(events[key] for key in sorted(events))


def read_text(record: RequestRecord) -> RequestText | None:
    """Prompt and answers; None where the server was not to tell."""
    if record.messages is None or record.answers is None or record.status != 200:
        return None
    return RequestText(record.id, record.time, record.model, record.messages, record.answers)
