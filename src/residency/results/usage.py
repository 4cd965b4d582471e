"""What a server was used for: requests, times, errors, uptime, moderation, feedback, costs.

``read_usage`` reads the store alone; the terminal and the workbench show what it gives.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from residency.nouns.served_request import ServedRequest, ServerTime
from residency.nouns.short_view import ShortView
from residency.stats.intervals import clopper_pearson
from residency.store.record_kind import RecordKind
from residency.store.store import Store
from residency.text.counts import write_count

HOUR = 3600.0
DAY = 86400.0
EMBEDDINGS = "/v1/embeddings"
ALIVE = 90.0
"""Seconds since its last sign of life within which a server counts as running."""


@dataclass(frozen=True)
class Percentiles:
    """Seconds: the median, and what 95 and 99 of 100 requests stay under."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class ModelUsage:
    """What one model was used for. Percentiles are of answered requests; None where there is none."""

    model: str
    requests: int
    errors: int
    prompt_tokens: int
    answer_tokens: int
    seconds: Percentiles | None
    first_token: Percentiles | None


@dataclass(frozen=True)
class ModerationCount:
    """Requests in which moderation saw a kind, with the share of all and its exact 95 % interval."""

    side: str
    kind: str
    action: str
    requests: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Cost:
    """Of 1000 answered requests, in the currency of the price.

    Attributes:
        price_per_hour: of the machine. paid: for all hours that the server was up. busy: for the time
            alone in which a request was in work.
    """

    price_per_hour: float
    paid: float | None
    busy: float | None


@dataclass(frozen=True)
class Prediction:
    """What the baseline measured for one way: seconds of single requests, and the cost of 1000 of them
    one after another at today's price (None without a price)."""

    name: str
    p50: float
    p95: float | None
    cost_per_1000: float | None


@dataclass(frozen=True, repr=False)
class Usage(ShortView):
    """A server's use between two times (seconds since 1970).

    Attributes:
        errors: HTTP status → requests, of those that were not answered. refused: requests that
            moderation did not let through to a model; no errors. up_seconds: hours of servers,
            overlaps once. uptime: their share of the time since the first server started; None before.
        running: whether a server runs now. cached_tokens: of the prompts, those not computed again.
        thumbs_up, thumbs_down: the last thumb of each request. better: requests with a better answer.
        texts: requests whose text is remembered. without_text: reason → requests of which none is.
    """

    since: float = field(repr=False)
    until: float = field(repr=False)
    requests: int
    errors: dict[int, int]
    refused: int
    prompt_tokens: int
    answer_tokens: int
    cached_tokens: int
    seconds: Percentiles | None
    first_token: Percentiles | None
    queue: Percentiles | None
    models: tuple[ModelUsage, ...]
    up_seconds: float
    uptime: float | None
    running: bool
    moderation: tuple[ModerationCount, ...]
    thumbs_up: int
    thumbs_down: int
    better: int
    texts: int
    without_text: dict[str, int]
    cost: Cost | None
    predictions: tuple[Prediction, ...]

    def describe(self) -> str:
        """The time and the requests in a sentence."""
        begin, end = (
            f"{datetime.fromtimestamp(t, UTC):%Y-%m-%d %H:%M}" for t in (self.since, self.until)
        )
        asked = write_count(self.requests, "request")
        return f"{begin} to {end} UTC: {asked}, {self.answered} of them answered."

    @property
    def answered(self) -> int:
        """Requests that were answered."""
        return self.requests - sum(self.errors.values()) - self.refused


def read_usage(
    store: Store, *, days: float = 30.0, price_per_hour: float = 0.0, now: float | None = None
) -> Usage:
    """A project's use in the last days.

    Args:
        price_per_hour: of the machine; 0: no cost is told.
    """
    until = time.time() if now is None else now
    since = until - days * DAY
    requests = store.served_requests(since, until + 1.0)
    answered = [request for request in requests if is_answered(request)]
    lives = store.server_times()
    up = measure_union((life.started, life.seen) for life in clip_lives(lives, since, until))
    first = min((life.started for life in lives), default=None)
    known = None if first is None else until - max(first, since)
    recent_feedback = [feedback for feedback in store.feedback() if feedback.time >= since]
    thumbs = Counter({f.request: f.thumb for f in recent_feedback if f.thumb}.values())
    with_text = {text.request for text in store.request_texts() if text.time >= since}
    return Usage(
        since=since,
        until=until,
        requests=len(requests),
        errors=dict(sorted(Counter(r.status for r in requests if is_error(r)).items())),
        refused=sum(is_refused(request) for request in requests),
        prompt_tokens=sum(request.prompt_tokens for request in requests),
        answer_tokens=sum(request.answer_tokens for request in requests),
        cached_tokens=sum(request.cached_tokens for request in requests),
        seconds=take_percentiles(r.seconds for r in answered),
        first_token=_first_tokens(answered),
        queue=take_percentiles(r.queue_seconds for r in answered),
        models=tuple(_sum_models(requests)),
        up_seconds=up,
        uptime=min(1.0, up / known) if known and known > 0 else None,
        running=any(is_running(life, until) for life in lives),
        moderation=tuple(_count_moderation(requests)),
        thumbs_up=thumbs["up"],
        thumbs_down=thumbs["down"],
        better=len({feedback.request for feedback in recent_feedback if feedback.answer}),
        texts=len(with_text),
        without_text=count_without_text(requests, with_text),
        cost=_price(answered, up, price_per_hour),
        predictions=tuple(read_predictions(store, price_per_hour)),
    )


def is_answered(request: ServedRequest) -> bool:
    """Whether a model's answer went out, if only a part of it."""
    return request.status < 400 and not request.error


def is_refused(request: ServedRequest) -> bool:
    """Whether moderation let no model see it."""
    return not is_answered(request) and any(
        event.side == "input" and event.action == "refuse" for event in request.moderation
    )


def is_error(request: ServedRequest) -> bool:
    """Whether it was not answered, and not for moderation."""
    return not is_answered(request) and not is_refused(request)


def count_without_text(
    requests: Iterable[ServedRequest], with_text: Collection[str]
) -> dict[str, int]:
    """Reason → requests whose text is not remembered.

    Args:
        with_text: ids of the requests whose text is.
    """
    reasons = Counter(_explain_lack(r) for r in requests if r.id not in with_text)
    return dict(reasons.most_common())


def _explain_lack(request: ServedRequest) -> str:
    if is_refused(request):
        return "refused by moderation"
    if is_error(request):
        return "not answered"
    if request.endpoint == EMBEDDINGS:
        return "embeddings, which have no answer"
    return "served while no text was kept, or older than keep_days"


def take_percentiles(seconds: Iterable[float]) -> Percentiles | None:
    """Percentiles of what was measured, by linear interpolation; None of nothing."""
    values = list(seconds)
    if not values:
        return None
    p50, p95, p99 = (float(value) for value in np.percentile(values, (50, 95, 99)))
    return Percentiles(p50, p95, p99)


def clip_lives(lives: Sequence[ServerTime], since: float, until: float) -> list[ServerTime]:
    """Servers' lives within a window; one that runs is up until its end."""
    ends = {life.id: until if is_running(life, until) else life.last for life in lives}
    return [
        ServerTime(life.id, max(life.started, since), min(ends[life.id], until))
        for life in lives
        if ends[life.id] > since and life.started < until
    ]


def is_running(life: ServerTime, now: float) -> bool:
    """Whether a server gave a sign of life a moment ago and has not ended."""
    return life.ended is None and now - life.seen < ALIVE


def measure_union(spans: Iterable[tuple[float, float]]) -> float:
    """Length of what spans cover together."""
    total, reach = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reach))
        reach = max(reach, end)
    return total


def read_predictions(store: Store, price_per_hour: float) -> list[Prediction]:
    """The ways of the last ``residency baseline`` that ran on this machine."""
    records = store.records(RecordKind.BASELINE)
    rows = records[-1]["rows"] if records else []
    return [
        Prediction(
            str(row["name"]),
            float(row["p50"]),
            row["p95"],
            1000 * float(row["p50"]) / HOUR * price_per_hour if price_per_hour else None,
        )
        for row in rows
        if row["p50"] is not None and row["way"] != "endpoint"
    ]


def _first_tokens(requests: Iterable[ServedRequest]) -> Percentiles | None:
    return take_percentiles(
        r.first_token_seconds for r in requests if r.first_token_seconds is not None
    )


def _sum_models(requests: Sequence[ServedRequest]) -> list[ModelUsage]:
    """A line a model, the most used first."""
    by_model: dict[str, list[ServedRequest]] = {}
    for request in requests:
        by_model.setdefault(request.model, []).append(request)
    lines = []
    for model, model_requests in by_model.items():
        answered = [request for request in model_requests if is_answered(request)]
        lines.append(
            ModelUsage(
                model,
                len(model_requests),
                sum(map(is_error, model_requests)),
                sum(request.prompt_tokens for request in model_requests),
                sum(request.answer_tokens for request in model_requests),
                take_percentiles(request.seconds for request in answered),
                _first_tokens(answered),
            )
        )
    return sorted(lines, key=lambda line: (-line.requests, line.model))


def _count_moderation(requests: Sequence[ServedRequest]) -> list[ModerationCount]:
    counts = Counter(
        (event.side, event.kind, event.action)
        for request in requests
        for event in request.moderation
    )
    total = len(requests)
    return [
        ModerationCount(*key, count, count / total, *clopper_pearson(count, total))
        for key, count in sorted(counts.items(), key=lambda item: (item[0][0], -item[1], item[0]))
    ]


def _price(answered: Sequence[ServedRequest], up: float, price: float) -> Cost | None:
    if not price:
        return None
    if not answered:
        return Cost(price, None, None)
    busy = measure_union((r.time + r.queue_seconds, r.time + r.seconds) for r in answered)
    scale = 1000 / len(answered) * price / HOUR
    return Cost(price, up * scale if up else None, busy * scale)
