"""Sweep: a plan before anything is trained, a process of its own, and results that stay text."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from browser import WIDTHS, Watched, open_browser, serve
from finished_run import EVIL, copy_run
from residency.commands import run_apart, sweep_apart
from residency.commands.sweep_apart import read_sweep_state, write_sweep_words
from residency.errors import StoreLockedError, UserError
from residency.interfaces import ProgressEvent, no_progress
from residency.store.record_kind import RecordKind
from residency.store.store import Store
from residency.sweep.sweep_options import SweepOptions
from residency.sweep.watched_sweep import (
    SweepWatch,
    read_sweep_position,
)
from residency.web.app import create_app
from sweep_bodies import make_sweep_plan, make_sweep_result

OPTIONS = SweepOptions(bases=(EVIL, "tiny"), seeds=2, ranks=(4,), minutes=7, hour_price=2.5)


@pytest.fixture
def root(finished_run: Path, tmp_path: Path) -> Path:
    return copy_run(finished_run, tmp_path / "project")


def open_client(root: Path) -> tuple[TestClient, str]:
    client = TestClient(create_app(root), base_url="http://127.0.0.1:8642")
    return client, client.get("/token").json()["token"]


def keep_plan(root: Path) -> None:
    """As a sweep keeps its plan, for options with hostile names."""
    body = {
        "options": {k: v for k, v in vars(OPTIONS).items() if k != "endpoint"},
        "own": EVIL,
        "plan": make_sweep_plan(EVIL).to_dict(),
    }
    folder = root / ".residency" / "sweep"
    folder.mkdir(exist_ok=True)
    (folder / "plan.json").write_text(json.dumps(body))


def keep_result(root: Path) -> None:
    store = Store(root, create=False)
    with store.writer("sweep"):
        store.add_record(
            RecordKind.SWEEP, store.latest_run(), make_sweep_result(store.latest_run() or "", EVIL)
        )


def test_before_anything_ran_the_page_asks_and_shows_the_plan(root: Path) -> None:
    client, _ = open_client(root)
    page = client.get("/sweep").text
    assert "What to try" in page and 'value="12, 25, 50, 100"' in page
    assert "residency sweep" in page and "How much data" not in page
    keep_plan(root)
    page = client.get("/sweep").text
    assert EVIL not in page and page.count("&lt;script&gt;") >= 4
    assert "5 trainings, 6 min 45 s of 7 min" in page
    assert "1 trainings do not fit" not in page and "One training does not fit" in page
    assert "--rank=4" in page and "--minutes=7" in page and "--hour-price=2.5" in page
    assert 'name="rank" value="4"' in page  # the form holds what the plan is for


@pytest.mark.parametrize(
    "options",
    [SweepOptions(), OPTIONS, SweepOptions(shares=(0.125, 1.0), learning_rates=(2e-5,), jobs=3)],
)
def test_the_command_that_is_shown_asks_for_the_same(
    root: Path, options: SweepOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    import residency.commands.sweep
    from residency.cli.app import build_app

    asked: list[SweepOptions] = []

    def note(_: object, options: SweepOptions) -> None:
        asked.append(options)
        raise UserError("enough")

    monkeypatch.setattr(residency.commands.sweep, "open_sweep", note)
    CliRunner().invoke(build_app("sweep"), ["sweep", str(root), *write_sweep_words(options)])
    assert asked == [options]


@pytest.mark.parametrize(
    "change",
    [
        {"sizes": "a few"},
        {"sizes": "0"},
        {"sizes": "200"},
        {"seeds": "0"},
        {"minutes": "-1"},
        {"minutes": "nan"},
        {"rank": "x"},
        {"rank": "-4"},
        {"learning_rate": "-1"},
        {"layers": "top-none"},
        {"base": "a\x00b"},
        {"jobs": "0"},
    ],
)
def test_nothing_that_is_no_sweep_is_started(
    root: Path, change: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(
        sweep_apart, "start_command", lambda words, *a, **k: started.append(list(words)) or 1
    )
    client, csrf = open_client(root)
    good = {"csrf": csrf, "base": "tiny", "sizes": "25, 50, 100 %", "minutes": "5"}
    assert client.post("/sweep/start", data=good | change).status_code == 422
    assert started == []
    said = client.post("/sweep/start", data=good | {"plan_only": "yes"}, follow_redirects=False)
    assert said.status_code == 303
    words = ["sweep", str(root), "--base=tiny", "--sizes=25,50,100", "--minutes=5", "--dry-run"]
    assert started == [words]


def test_one_process_writes_at_a_time(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_apart, "is_ours", lambda _: True)  # a test's process has another name
    client, csrf = open_client(root)
    with Store(root, create=False).writer("run"):
        assert "A run goes on" in client.get("/sweep").text
        said = client.post("/sweep/start", data={"csrf": csrf, "base": "tiny"})
        assert said.status_code == 409
    assert client.post("/sweep/stop", data={"csrf": csrf}).status_code == 404
    monkeypatch.setattr(run_apart, "is_alive", lambda _: True)
    (root / ".residency" / "writer.json").write_text('{"command": "sweep", "pid": 1}')
    with pytest.raises(StoreLockedError, match="residency sweep works on this project"):
        run_apart.start_run(root)


def test_a_watch_tells_what_is_done_and_how_long_the_rest_takes(tmp_path: Path) -> None:
    told: list[ProgressEvent] = []
    watch = SweepWatch(told.append, tmp_path / "sweep", make_sweep_plan("tiny"))
    total = 7
    titles = [cell.cell.title for cell in make_sweep_plan("tiny").cells]
    watch(ProgressEvent("jobs", 1, total, "jobs", {"now": "tiny: zero-shot"}))
    watch(ProgressEvent("train", 3, 9, "steps"))
    before = watch.position.seconds_left
    assert before == sum(cell.seconds for cell in make_sweep_plan("tiny").cells)
    for done, title in enumerate(titles[:2], 2):
        watch(ProgressEvent("jobs", done, total, "jobs", {"now": title}))
    place = read_sweep_position(tmp_path)
    assert place is not None and place.process == os.getpid()
    assert (place.done, place.total, place.stage) == (3, 7, "")
    assert place.finished == ("tiny: zero-shot", *titles[:2])
    assert place.seconds_left is not None and place.seconds_left < before
    assert len(told) == 4
    watch(ProgressEvent("jobs", 3, total, "jobs", {"trouble": "a worker died"}))
    assert read_sweep_position(tmp_path).finished == place.finished  # type: ignore[union-attr]


def test_a_sweep_that_ended_early_is_gone_on_with(root: Path) -> None:
    keep_plan(root)
    watch = SweepWatch(no_progress, root / ".residency" / "sweep", make_sweep_plan(EVIL))
    watch(ProgressEvent("jobs", 1, 5, "jobs", {"now": make_sweep_plan(EVIL).cells[0].cell.title}))
    watch.write(0)
    state = read_sweep_state(root)
    assert state.is_stopped and not state.is_running
    page = open_client(root)[0].get("/sweep").text
    assert "what is done of it" in page and ">Go on</button>" in page
    (root / ".residency" / "sweep" / "position.json").write_text('{"done": "x"')
    (root / ".residency" / "sweep" / "plan.json").write_text("[]")
    state = read_sweep_state(root)  # damaged notes are none
    assert state.position is None and state.stored_plan is None
    assert open_client(root)[0].get("/sweep").status_code == 200


def test_what_a_sweep_showed_is_told_in_words_and_charts(root: Path) -> None:
    keep_result(root)
    page = open_client(root)[0].get("/sweep").text
    assert EVIL not in page
    assert page.count("<svg") == 3 and "It rises." in page and "on the front" in page
    assert "50.0 % [40.0, 60.0]" in page and "cost of 1000" not in page
    assert "on 6 items" in page.lower()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_a_person_reads_the_sweep_and_starts_another(
    browser: Any, root: Path, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(
        sweep_apart, "start_command", lambda words, *a, **k: started.append(list(words)) or 1
    )
    keep_plan(root)
    keep_result(root)
    watched = Watched(browser, width, dark=width == WIDTHS[0])
    page = watched.page
    with serve(root) as address:
        page.goto(f"{address}/sweep")
        page.locator(".answer .sentence", has_text="Take <script>").wait_for()
        assert page.locator("main script, main img").count() == 0
        watched.check()
        for name in page.locator("input[name=base]").all():
            name.uncheck()
        page.get_by_label("tiny", exact=True).check()
        page.get_by_text("Settings to vary").click()
        page.get_by_label("Ranks, with commas").fill("4, 16")
        page.get_by_label("Layers, with commas").fill("all, top-2")
        page.get_by_label("Trainings of each").fill("3")
        page.keyboard.press("Enter")  # of two buttons none is meant
        with page.expect_navigation():
            page.get_by_role("button", name="Make the plan only").click()
        assert started[0][2:4] == ["--base=tiny", "--rank=4"]
        assert [w for w in started[0] if "layers" in w] == ["--layers=all", "--layers=top-2"]
        assert started[0][-1] == "--dry-run" and len(started) == 1
    watched.check()
