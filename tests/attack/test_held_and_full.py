"""A store that others hold, a disk without room, a port that is taken: one line each, and exit code 2."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from finished_run import copy_run
from heard_signals import hear_signal
from limits import files_of_at_most
from residency.cli.invoke import call_guarded, run_command_line
from residency.store.lock import WriterLock


@contextmanager
def hold_rows(root: Path, *, readers_too: bool) -> Iterator[None]:
    """Another program has the database for itself; with WAL readers go on, without it none does."""
    with sqlite3.connect(root / ".residency" / "store.db", isolation_level=None) as other:
        if readers_too:
            other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")
    other.close()


@contextmanager
def hold_writer(root: Path) -> Iterator[None]:
    lock = WriterLock(root / ".residency" / "writer.lock")
    lock.take_lock("run")
    try:
        yield
    finally:
        lock.release_lock()


@contextmanager
def leave_no_room(root: Path) -> Iterator[None]:
    with files_of_at_most(0):
        yield


def list_writing(root: Path, folder: Path) -> list[list[str]]:
    rows = folder / "asked.jsonl"
    rows.write_text(json.dumps({"prompt": "A red cup?", "response": "yes"}) + "\n")
    place = str(root)
    return [
        ["run", place, "--rounds", "1"],
        ["train", place],
        ["export", place, "--out", str(folder / "export")],
        ["collect", place, "--prompts", str(rows)],
        ["ingest", place, str(rows)],
        ["bench", place, "--tasks", "everyday", "--limit", "2"],
        ["baseline", place],
    ]


HOLDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "writer": (hold_writer, "another process is writing to this project (residency run, process"),
    "rows": (lambda root: hold_rows(root, readers_too=False), "keeps the database locked"),
    "all": (lambda root: hold_rows(root, readers_too=True), "keeps the database locked"),
    "full": (leave_no_room, ""),
}


@pytest.mark.parametrize("hold", HOLDS)
def test_every_writing_command_says_in_one_line_who_is_in_its_way(
    hold: str,
    finished_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("residency.store.database.BUSY_MILLISECONDS", 50)
    root = copy_run(finished_run, tmp_path / "project")
    lines = list_writing(root, tmp_path)
    in_the_way, reason = HOLDS[hold]
    for line in lines:
        with in_the_way(root):  # type: ignore[attr-defined]
            code = run_command_line(line)
        told = capsys.readouterr().err
        assert code == 2, (line, told)
        assert reason in told and "→" in told and "defect" not in told, (line, told)
        assert told.count("error: ") == 1, told
        assert not (tmp_path / "export").exists()
    assert run_command_line(["status", str(root)]) == 0  # nothing was lost


def test_readers_do_not_wait_for_a_writer(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    for in_the_way in (hold_writer(root), hold_rows(root, readers_too=False)):
        with in_the_way:
            for line in (["status"], ["report"], ["diagnose"], ["doctor"], ["rows"]):
                assert run_command_line([*line, str(root)]) == 0, capsys.readouterr().err


def test_a_machine_without_room_for_temporary_files_is_no_defect(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def open_temporary() -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    assert call_guarded(open_temporary, debug=False) == 2
    told = capsys.readouterr().err
    assert "no room for temporary files" in told and "TMPDIR" in told


def test_pages_name_their_address_once_it_answers(finished_run: Path, tmp_path: Path) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        line = [sys.executable, "-m", "residency", "web", str(root), "--port", port]
        refused = subprocess.run(line, capture_output=True, text=True, timeout=200)
    assert refused.returncode == 2 and refused.stdout == ""
    assert (
        f"error: 127.0.0.1:{port}: cannot listen: {os.strerror(errno.EADDRINUSE)}" in refused.stderr
    )
    line[-1] = "0"  # a free one
    with hear_signal(15), subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as pages:
        assert pages.stdout is not None
        address = pages.stdout.readline().split()[0]
        assert re.fullmatch(r"http://127\.0\.0\.1:[1-9]\d*/", address)
        with urllib.request.urlopen(address, timeout=60) as answer:  # the first try
            assert answer.status == 200
        pages.terminate()
    assert pages.returncode == 143
