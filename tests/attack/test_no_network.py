"""Nothing is sent anywhere: no command opens a connection that the settings did not name."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from finished_run import copy_run
from residency.cli.invoke import run_command_line
from residency.http.telemetry import SILENT
from watched_sockets import run_watched

CONTEXT = multiprocessing.get_context("spawn")


def watch(lines: list[list[str]], folder: Path, own_host: str = "") -> dict[str, Any]:
    told = folder / "told.json"
    process = CONTEXT.Process(target=run_watched, args=(lines, str(told), own_host))
    process.start()
    process.join(400)
    assert process.exitcode == 0
    return dict(json.loads(told.read_text(encoding="utf-8")))


FAKE_HUB_KERNELS = """
import pathlib

def get_kernel(*names, **options):
    pathlib.Path(__file__).with_name("fetched").write_text(str(names))
    raise OSError("no network")
"""


@pytest.mark.parametrize("ours", [True, False])
def test_no_library_fetches_compiled_code(tmp_path: Path, ours: bool) -> None:
    """Importing PEFT makes bitsandbytes ask a hub for code; inside our block it finds no way to."""
    pytest.importorskip("bitsandbytes")
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "__init__.py").write_text(FAKE_HUB_KERNELS)
    way = "from residency.model.quiet_libraries import quiet_libraries\nwith quiet_libraries(): import peft"
    code = f"{way if ours else 'import peft'}\nimport kernels  # others may have it"
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    fetched = (tmp_path / "kernels" / "fetched").exists()
    if ours:
        assert not fetched
        assert "kernels" not in done.stderr
    elif not fetched:
        pytest.skip("on this processor bitsandbytes asks for nothing")


@pytest.mark.slow
def test_a_whole_project_reaches_for_no_other_machine(finished_run: Path, tmp_path: Path) -> None:
    """Without what keeps the hub's library offline in other tests."""
    root = copy_run(finished_run, tmp_path / "project")
    shutil.rmtree(root / ".residency")
    place, new = str(root), str(tmp_path / "new")
    lines = [
        ["init", new, "--train", str(root / "train.jsonl")],
        ["check", place, "--show", "1"],
        ["run", place],
        ["status", place, "--json"],
        ["report", place],
        ["diagnose", place],
        ["compare", place, "base", "final"],
        ["eval", place],
        ["bench", place, "--tasks", "everyday", "--limit", "4"],
        ["estimate", place],
        ["merge", place, "--out", str(tmp_path / "merged")],
        ["chat", place, "--model", "base", "-m", "hello"],
        ["doctor", place],
        ["export", place, "--out", str(tmp_path / "exported")],
    ]
    told = watch(lines, tmp_path)
    assert told["reached"] == []
    codes = {line[0]: code for line, code in zip(lines, told["codes"], strict=True)}
    assert set(codes.values()) <= {0, 2}, codes
    assert [codes[name] for name in ("init", "check", "run", "status", "report")] == [0] * 5, codes


class Judge(BaseHTTPRequestHandler):
    """A judge that passes everything."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        text = json.dumps({"reason": "r", "verdict": "pass"})
        choice = {"index": 0, "message": {"role": "assistant", "content": text}}
        body = json.dumps({"choices": [{**choice, "finish_reason": "stop"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Silence."""


def test_a_judge_is_asked_where_it_was_named_and_nowhere_else(
    finished_run: Path, tmp_path: Path
) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Judge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    with (root / "residency.toml").open("a", encoding="utf-8") as settings:
        settings.write(f'\n[judge]\nurl = "http://127.0.0.1:{port}/v1"\nmodel = "judge"\n')
    try:
        told = watch([["judge", "run", str(root), "--limit", "3"]], tmp_path, "127.0.0.1")
    finally:
        server.shutdown()
        server.server_close()
    assert told["codes"] == [0]
    assert set(told["reached"]) == {f"127.0.0.1:{port}"}


def test_libraries_that_tell_of_their_use_are_told_not_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in SILENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "true")  # who wants it has it
    assert run_command_line(["--version"]) == 0
    assert {name: os.environ.get(name) for name in SILENT} == {
        **SILENT,
        "WANDB_ERROR_REPORTING": "true",
    }
