"""Figures for Prometheus, of requests that are over and of what is in hand."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from residency.serve.hooks import RequestRecord
from residency.serve.record_requests import read_events

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """A RequestObserver with a separate registry.

    Labels are names of served models, paths and status codes: none of them is free text of a client.

    Args:
        running, waiting: answers in a slot, and those that wait for one.
    """

    def __init__(self, running: Callable[[], int], waiting: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        name, which = "residency_serve", ("endpoint", "model")
        at = self.registry
        self._requests = Counter(f"{name}_requests", "Requests.", (*which, "status"), registry=at)
        self._tokens = Counter(f"{name}_tokens", "Tokens.", ("model", "kind"), registry=at)
        self._decisions = Counter(
            f"{name}_moderation",
            "Requests in which moderation saw this kind.",
            ("side", "action", "kind"),
            registry=at,
        )
        self._seconds = Histogram(
            f"{name}_request_seconds", "Arrival to end.", which, buckets=SECONDS, registry=at
        )
        self._first = Histogram(
            f"{name}_first_token_seconds",
            "Arrival to first token.",
            which,
            buckets=SECONDS,
            registry=at,
        )
        self._queue = Histogram(
            f"{name}_queue_seconds", "Arrival to slot.", which, buckets=SECONDS, registry=at
        )
        Gauge(f"{name}_running", "Answers in a slot.", registry=at).set_function(running)
        Gauge(f"{name}_waiting", "Answers that wait for a slot.", registry=at).set_function(waiting)

    def request_finished(self, record: RequestRecord) -> None:
        """Count one."""
        which = (record.endpoint, record.model)
        self._requests.labels(*which, str(record.status)).inc()
        self._seconds.labels(*which).observe(record.seconds)
        if record.first_token_seconds is not None:
            self._first.labels(*which).observe(record.first_token_seconds)
            self._queue.labels(*which).observe(record.queue_seconds)
        for kind, count in (
            ("prompt", record.prompt_tokens),
            ("cached", record.cached_tokens),
            ("answer", record.answer_tokens),
        ):
            self._tokens.labels(record.model, kind).inc(count)
        for event in read_events(record):
            self._decisions.labels(event.side, event.action, event.kind).inc()

    def count_refusal(self, status: int) -> None:
        """Count a request of a stranger, of whom nothing else is kept: a wrong key or host, or one more
        connection than the settings allow, whose request is not read."""
        self._requests.labels("", "", str(status)).inc()

    def close(self) -> None:
        """Nothing is held open."""

    def write_text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)
