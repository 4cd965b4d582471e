"""A project whose store is a PostgreSQL database says what the same project says with SQLite."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from postgresql_server import run_postgresql
from residency.cli.invoke import run_command_line
from residency.commands.project import Project
from residency.errors import StoreLockedError
from residency.nouns.issue import Slice
from residency.results.change_table import ChangeTables
from residency.results.issue_items import find_changes
from residency.results.run_results import RunResults
from residency.web.app import create_app

# A command leaves its pooled connections to the end of its process, as psycopg says when it is not one.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collect_connections() -> Iterator[None]:
    """What is left open is told within the test that left it."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def shared(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The small run again, with its store in PostgreSQL."""
    root = tmp_path_factory.mktemp("shared") / "project"
    shutil.copytree(finished_run, root, ignore=shutil.ignore_patterns(".residency"))
    settings = root / "residency.toml"
    text = settings.read_text(encoding="utf-8")
    with run_postgresql() as uri:
        line = f'store = "{uri.replace("postgresql:", "postgresql+psycopg:")}"\n'
        text = (
            text.replace("[project]\n", f"[project]\n{line}", 1)
            if "[project]" in text
            else f"[project]\n{line}\n{text}"
        )
        settings.write_text(text, encoding="utf-8")
        project = Project.open(root)
        project.run()
        project.store.close()
        yield root


def read_status(root: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run_command_line(["status", str(root), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    return {key: status[key] for key in ("issues", "test", "falls", "arms_tested", "complete")}


def test_the_same_run_gives_the_same_figures(
    shared: Path, finished_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not list((shared / ".residency").glob("store.db*"))
    assert read_status(shared, capsys) == read_status(finished_run, capsys)


def test_pages_of_items_are_those_of_memory(shared: Path) -> None:
    """The database's own JSON, tags and counts, against what Python makes of the same rows."""
    project = Project.open(shared)
    results = RunResults(project.store)
    answers, tables = results.answers, ChangeTables(results.answers)
    tags = sorted({tag for own in answers.tags("dev").values() for tag in own})
    for result in results.issues:
        for own in (Slice(), *(Slice("tag", tag) for tag in tags)):
            asked = replace(result, issue=replace(result.issue, slice=own))
            assert tables.find_changes(asked, 5) == find_changes(answers, asked, 5)
    project.store.close()
    with TestClient(create_app(shared), base_url="http://127.0.0.1:8642") as client:
        for page in ("/", "/issues", "/items", "/data?q=cup", "/compare", "/runs", "/report"):
            assert client.get(page).status_code == 200, page


def test_a_second_writer_is_told(shared: Path) -> None:
    first, second = Project.open(shared), Project.open(shared)
    with (
        first.store.writer("run"),
        pytest.raises(StoreLockedError, match="another process is writing"),
        second.store.writer("run"),
    ):
        pass
    for project in (first, second):
        project.store.close()
