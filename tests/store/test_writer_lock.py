"""Writing takes the lock, reading never does; on every platform; with errors that say what to do."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from residency.errors import StoreError, StoreLockedError, UnlockedWriteError, UserError
from residency.nouns.example import Example, Message
from residency.nouns.model import Model
from residency.nouns.response import Response
from residency.store import database
from residency.store.record_kind import OF_PEOPLE, RecordKind
from residency.store.stage_key import StageKey, StageName
from residency.store.store import FOLDER, Store

ROW = Example((Message("user", "a"), Message("assistant", "b")))


def every_write(store: Store) -> dict[str, Any]:
    """A call of every method that writes."""
    return {
        "add_run": lambda: store.add_run("run-1", {}),
        "add_corpus": lambda: store.add_corpus("run-1", [ROW]),
        "add_model": lambda: store.add_model(Model("base")),
        "add_responses": lambda: store.add_responses([Response("m", "e", "t")]),
        "finish_stage": lambda: store.finish_stage("run-1", StageKey(StageName.DATA), 0.0, {}),
        "reopen_stage": lambda: store.reopen_stage("run-1", StageKey(StageName.DATA)),
        "add_metrics": lambda: store.add_metrics("t", 1, {"loss": 1.0}),
        "add_record": lambda: store.add_record(RecordKind.SCOPE, "run-1", {}),
    }


def test_every_write_without_the_lock_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name, write in every_write(store).items():
        with pytest.raises(UnlockedWriteError):
            write()
        with store.writer("test"):
            write()
        with pytest.raises(UnlockedWriteError):
            write()
        assert name
    store.close()


def test_people_add_to_the_log_while_another_process_writes(tmp_path: Path) -> None:
    running, rating = Store(tmp_path), Store(tmp_path)
    with running.writer("run"):
        for kind in OF_PEOPLE:
            rating.add_record(kind, "key", {"who": "ann"})
        with pytest.raises(UnlockedWriteError):
            rating.add_record(RecordKind.SCOPE, "key", {})
        with pytest.raises(StoreLockedError, match="residency run"), rating.writer("eval"):
            pass
    assert len(rating.records(RecordKind.VOTE)) == 1


def test_the_lock_counts_and_is_free_after_the_last_release(tmp_path: Path) -> None:
    store, other = Store(tmp_path), Store(tmp_path)
    with store.writer("run"):
        with store.writer("eval"):
            pass
        with pytest.raises(StoreLockedError), other.writer("eval"):
            pass
    with other.writer("eval"):
        pass


def test_an_error_inside_gives_the_lock_back(tmp_path: Path) -> None:
    store, other = Store(tmp_path), Store(tmp_path)
    with pytest.raises(ValueError, match="stop"), store.writer("run"):
        raise ValueError("stop")
    with other.writer("eval"):
        pass


WITHOUT_FCNTL = """
import sys
sys.modules["fcntl"] = None
from pathlib import Path
from residency.store.store import Store
from residency.store.record_kind import RecordKind
store = Store(Path(sys.argv[1]))
with store.writer("run"):
    store.add_record(RecordKind.SCOPE, "run-1", {})
assert len(store.records(RecordKind.SCOPE)) == 1
print("written")
"""


def test_nothing_needs_fcntl(tmp_path: Path) -> None:
    """As on Windows, where the module does not exist."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT_FCNTL, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "written\n", done.stderr


def test_our_own_code_imports_no_fcntl() -> None:
    import residency

    folder = Path(residency.__file__).parent
    assert not [p for p in folder.rglob("*.py") if "import fcntl" in p.read_text(encoding="utf-8")]


# --- errors that say what to do -----------------------------------------------------------


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.writer("test"):
        with store._write() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        with pytest.raises(StoreError, match="the disk is full") as told:
            for number in range(200):
                store.add_record(RecordKind.SCOPE, str(number), {"text": "x" * 4000})
    assert isinstance(told.value, UserError)
    assert "INSERT" not in str(told.value)
    assert "xxxx" not in str(told.value)


def test_a_locked_database_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_MILLISECONDS", 50)
    store = Store(tmp_path)
    other = sqlite3.connect(tmp_path / FOLDER / "store.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        with store.writer("test"), pytest.raises(StoreLockedError, match="locked") as told:
            store.add_record(RecordKind.SCOPE, "key", {"text": "private"})
        assert "private" not in str(told.value)
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_a_folder_that_cannot_be_written_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    with store.writer("test"):
        store.add_run("run-1", {"why": "test"})
    store.close()
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode, **more: mode != os.W_OK and real(path, mode, **more)
    )
    before = sorted(p.name for p in (tmp_path / FOLDER).iterdir())
    reading = Store(tmp_path, create=False)
    assert reading.run("run-1") == {"why": "test"}
    with reading.writer("test"), pytest.raises(StoreError, match="cannot be written"):
        reading.add_run("run-2", {})
    reading.close()
    assert sorted(p.name for p in (tmp_path / FOLDER).iterdir()) == before


def test_a_lock_that_cannot_be_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(store._lock._lock, "acquire", refuse)
    with pytest.raises(StoreError, match="cannot be written: Permission denied"), store.writer("a"):
        pass


@pytest.mark.parametrize(
    "url", ["nonsense", "mysql://u:SECRET@h/d", "postgresql+psycopg://u:SECRET@127.0.0.1:1/d"]
)
def test_a_wrong_address_is_told_without_its_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(StoreError) as told:
        Store(tmp_path, url)
    assert "SECRET" not in str(told.value)
    assert "SECRET" not in repr(told.value)


# --- paths --------------------------------------------------------------------------------

NAMES = ["q?x", "100%41", "a#b", "it's", 'say "hi"', "Projekt äöü", "line\nbreak", "back\\slash", "a b", "[x]", "file:x"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_store_lies_in_its_folder_whatever_the_folder_is_called(
    tmp_path: Path, name: str
) -> None:
    root = tmp_path / name
    root.mkdir()
    store = Store(root)
    with store.writer("test"):
        store.add_run("run-1", {"name": name})
    store.close()
    assert (root / FOLDER / "store.db").is_file()
    assert [p.name for p in tmp_path.iterdir()] == [name]
    again = Store(root, create=False)
    assert again.run("run-1") == {"name": name}
    again.close()
