"""Usage: every figure is one that a person can recount."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from residency.cli.invoke import run_command_line
from residency.nouns.served_request import Feedback, ModerationEvent, ServedRequest, ServerTime
from residency.results.usage import DAY, HOUR, measure_union, read_usage
from residency.store.record_kind import RecordKind
from residency.store.store import Store

NOW = 50 * DAY


def request(number: int, **changes: object) -> ServedRequest:
    values: dict[str, object] = {
        "id": f"r{number}", "time": NOW - 1000 + number, "endpoint": "/v1/chat/completions",
        "model": "final", "model_id": "m-1", "status": 200, "seconds": 0.5, "queue_seconds": 0.1,
        "first_token_seconds": 0.2, "prompt_tokens": 10, "answer_tokens": 5, "cached_tokens": 4,
    }  # fmt: skip
    return ServedRequest(**(values | changes))  # type: ignore[arg-type]


def test_figures_of_a_window(tmp_path: Path) -> None:
    store = Store(tmp_path)
    seen = ModerationEvent("output", "secret", "mask", "secrets 1", 0.001)
    rows = [request(n, seconds=0.1 * (n + 1)) for n in range(100)]
    rows += [request(100, model="base", moderation=(seen,)), request(101, status=429, error="rate")]
    rows += [request(102, time=NOW - 40 * DAY)]
    store.add_requests(rows)
    store.add_feedback(Feedback("r1", NOW - 5, "down"))
    store.add_feedback(Feedback("r1", NOW - 4, "up", "better"))
    store.mark_server(ServerTime("a", NOW - 10 * HOUR, NOW - 6 * HOUR, NOW - 6 * HOUR))
    store.mark_server(ServerTime("b", NOW - 7 * HOUR, NOW - 5 * HOUR))
    used = read_usage(store, days=30, price_per_hour=2.0, now=NOW)
    assert (used.requests, used.answered, used.errors) == (102, 101, {429: 1})
    assert (used.prompt_tokens, used.answer_tokens, used.cached_tokens) == (1020, 510, 408)
    assert [(m.model, m.requests, m.errors) for m in used.models] == [
        ("final", 101, 1),
        ("base", 1, 0),
    ]
    assert used.models[0].seconds is not None
    assert used.models[0].seconds.p50 == pytest.approx(5.05)
    assert used.models[0].seconds.p95 == pytest.approx(9.505)
    assert used.up_seconds == pytest.approx(5 * HOUR)
    assert used.uptime == pytest.approx(0.5) and not used.running
    (kind,) = used.moderation
    assert (kind.kind, kind.action, kind.requests) == ("secret", "mask", 1)
    assert kind.low < 1 / 102 < kind.high
    assert (used.thumbs_up, used.thumbs_down, used.better) == (1, 0, 1)
    assert used.cost is not None and used.cost.paid == pytest.approx(5 * 2.0 * 1000 / 101)
    assert used.cost.busy is not None and 0 < used.cost.busy < used.cost.paid
    store.close()


def test_the_prediction_is_the_baselines_at_todays_price(tmp_path: Path) -> None:
    store = Store(tmp_path)
    rows = [
        {"name": "fine-tuned", "way": "fine-tuned", "p50": 3.6, "p95": 5.0},
        {"name": "far away", "way": "endpoint", "p50": 1.0, "p95": 2.0},
        {"name": "not timed", "way": "prompt", "p50": None, "p95": None},
    ]
    with store.writer("baseline"):
        store.add_record(RecordKind.BASELINE, "run", {"rows": rows})
    (prediction,) = read_usage(store, price_per_hour=2.0, now=NOW).predictions
    assert (prediction.name, prediction.cost_per_1000) == ("fine-tuned", pytest.approx(2.0))
    (free,) = read_usage(store, now=NOW).predictions
    assert free.cost_per_1000 is None
    store.close()


def test_a_refusal_by_moderation_is_no_error_and_no_answer(tmp_path: Path) -> None:
    store = Store(tmp_path)
    refused = ModerationEvent("input", "payment card", "refuse", "personal data 1", 0.001)
    ended = ModerationEvent("output", "secret", "refuse", "secrets 1", 0.001)
    store.add_requests(
        [
            request(1, status=400, error="content_filter", moderation=(refused,)),
            request(2, moderation=(ended,)),
            request(3, status=500, error="server_error"),
        ]
    )
    used = read_usage(store, now=NOW)
    assert (used.requests, used.answered, used.refused, used.errors) == (3, 1, 1, {500: 1})
    assert used.models[0].errors == 1
    store.close()


def test_nothing_served_is_told_as_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    used = read_usage(store, price_per_hour=1.0, now=NOW)
    assert (used.requests, used.uptime, used.seconds, used.models) == (0, None, None, ())
    assert used.cost is not None and used.cost.paid is None
    store.close()


def test_a_server_that_gave_a_sign_of_life_runs(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.mark_server(ServerTime("a", NOW - HOUR, NOW - 20))
    assert read_usage(store, now=NOW).running
    assert not read_usage(store, now=NOW + HOUR).running
    store.close()


spans = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted).map(tuple))


@given(spans)
def test_the_union_counts_every_moment_once(several: list[tuple[int, int]]) -> None:
    moments = {moment for start, end in several for moment in range(start, end)}
    assert measure_union(several) == len(moments)


def test_the_command_on_a_project(
    tmp_path: Path, finished_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from finished_run import copy_run

    root = copy_run(finished_run, tmp_path / "project")
    assert run_command_line(["usage", str(root)]) == 0
    assert "No request was served" in capsys.readouterr().out
    store = Store(root)
    store.add_requests([request(1, time=time.time() - 5)])
    store.close()
    assert run_command_line(["usage", str(root), "--price", "1", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["requests"], body["answered"], body["models"][0]["model"]) == (1, 1, "final")
    assert run_command_line(["usage", str(root), "--price", "1"]) == 0
    assert "cost of 1000 requests by busy time" in capsys.readouterr().out
