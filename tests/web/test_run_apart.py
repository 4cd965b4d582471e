"""A run is a process of its own: started by a page, found by another server, stopped, and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from residency.commands.run_apart import read_run_state, start_run, stop_run
from residency.errors import StoreError, StoreLockedError
from residency.project.progress_file import is_alive
from residency.web.app import create_app
from small import save_model, save_project

LOCAL = "http://127.0.0.1:8642"
PATIENCE = 240.0


def wait_for(root: Path, reached: object) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if reached(read_run_state(root)):  # type: ignore[operator]
            return
        time.sleep(0.05)
    raise AssertionError((root / ".residency" / "run.log").read_text())


def post(client: TestClient, path: str) -> int:
    token = client.get("/token").json()["token"]
    return client.post(path, data={"csrf": token}, follow_redirects=False).status_code


@pytest.mark.slow
def test_a_run_is_started_stopped_and_gone_on_with_from_pages_of_different_servers(
    tmp_path: Path,
) -> None:
    root = save_project(tmp_path / "project", save_model(tmp_path / "model"), epochs=12, rounds=1)
    first = TestClient(create_app(root), base_url=LOCAL)
    assert "Nothing was run here yet" in first.get("/run").text
    assert post(first, "/run/start") == 303
    process = read_run_state(root).process
    assert process and process != os.getpid()
    assert os.getsid(process) != os.getsid(os.getpid())  # the end of our session is not its end
    with pytest.raises(StoreLockedError, match="goes on already"):
        start_run(root)
    wait_for(root, lambda s: s.position and "train" in s.position.stage and s.position.done > 1)
    second = TestClient(create_app(root), base_url=LOCAL)  # as after a restart of the server
    page = second.get("/run").text
    assert f"process {process}" in page
    assert "The whole plan" in page and "sealed test: the best round" in page
    assert post(second, "/run/stop") == 303
    wait_for(root, lambda s: not s.is_running)
    assert "SIGTERM" in read_run_state(root).last_words
    assert "Resume" in second.get("/run").text
    assert post(second, "/run/start") == 303
    wait_for(root, lambda s: s.process not in (0, process))
    wait_for(root, lambda s: not s.is_running)
    assert "The run is complete" in second.get("/run").text, read_run_state(root).last_words


def test_a_process_of_another_program_is_never_stopped(tmp_path: Path) -> None:
    folder = tmp_path / ".residency"
    folder.mkdir()
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (folder / "run.json").write_text(json.dumps({"pid": other.pid}))
        with pytest.raises(StoreError, match="no run goes on"):
            stop_run(tmp_path)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("note", ["", "[]", "{", '{"pid": "x"}', '{"pid": -1}', '{"pid": 1e99}'])
def test_a_damaged_note_is_no_run(tmp_path: Path, note: str) -> None:
    (tmp_path / ".residency").mkdir()
    (tmp_path / ".residency" / "run.json").write_text(note)
    assert not read_run_state(tmp_path).is_running


def test_a_process_that_ended_and_was_not_taken_note_of_does_not_live() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    os.kill(child.pid, signal.SIGCONT)
    end = time.monotonic() + 30
    while is_alive(child.pid) and time.monotonic() < end:
        time.sleep(0.02)
    assert not is_alive(child.pid)  # although nobody has waited for it
    child.wait()


def test_what_the_last_run_said_is_shown_without_secrets_or_marks(tmp_path: Path) -> None:
    root = tmp_path
    (root / "residency.toml").write_text("")
    (root / ".residency").mkdir()
    words = "error: \x1b]0;title\x07<script>alert(1)</script> sk-" + "a1" * 24
    (root / ".residency" / "run.log").write_text(words)
    page = TestClient(create_app(root), base_url=LOCAL).get("/run").text
    assert "&lt;script&gt;" in page and "<script>alert" not in page
    assert "\x1b" not in page
