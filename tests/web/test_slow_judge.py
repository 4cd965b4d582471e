"""A judge that is slow or dead keeps nobody waiting: the page ends it with a message, or the person does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from browser import Watched, open_browser, serve
from finished_run import copy_run, tell_answers_apart
from residency.commands.project import Project
from residency.project.named_kinds import read_kinds
from residency.web.pages import read as read_page


@contextmanager
def listen_silently() -> Iterator[tuple[int, list[socket.socket]]]:
    """A server that takes connections and never answers; its port and what connected."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take)
        thread.start()
        yield server.getsockname()[1], taken
        server.shutdown(socket.SHUT_RDWR)  # wakes the thread
        thread.join()
    for connection in taken:
        connection.close()


@pytest.fixture
def root(finished_run: Path, tmp_path: Path) -> Path:
    """A project with notes in a mode."""
    copy = copy_run(finished_run, tmp_path / "project")
    tell_answers_apart(copy)
    project = Project.open(copy)
    reading = project.read("final", reader="ann")
    for answer in reading.left[:3]:
        project.note(answer.response, "too vague", reader="ann")
    notes = project.read("final", reader="ann").ungrouped
    project.group_notes([note.id for note in notes], "vague", reader="ann")
    project.store.close()
    return copy


def set_judge(root: Path, port: int) -> None:
    with (root / "residency.toml").open("a") as settings:
        settings.write(f'\n[judge]\nurl = "http://127.0.0.1:{port}/v1"\n')


def test_a_dead_judge_is_waited_for_so_long_and_no_longer(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_page, "JUDGE_SECONDS", 2.0)
    with listen_silently() as (port, taken), open_browser() as browser:
        set_judge(root, port)
        with serve(root) as served:
            watched = Watched(browser, 1440)
            page = watched.page
            page.set_default_timeout(15_000)
            page.goto(f"{served}/read/modes")
            stop = page.get_by_role("button", name="Stop waiting")
            assert not stop.is_visible()
            page.locator('select[name="by"]').select_option("judge")
            page.get_by_role("button", name="Try it on the notes").click()
            stop.wait_for()
            page.get_by_text("The judge has answered 0 of 6 questions in 2 s").wait_for()
            assert not stop.is_visible()
            assert taken  # it was asked

            monkeypatch.setattr(read_page, "JUDGE_SECONDS", 60.0)
            asked = len(taken)
            page.get_by_role("button", name="Measure it from now on").click()
            stop.click()
            page.get_by_text("Stopped. Answers that came are kept").wait_for()
            time.sleep(3)
            assert len(taken) <= asked + 4  # four at a time, and no more after that
            assert page.get_by_role("button", name="Try it on the notes").is_enabled()
            watched.check()
    assert read_kinds(root) == []
