"""Two machines on one PostgreSQL store: who may do what at the same time."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from postgresql_server import run_postgresql
from residency.errors import StoreError, StoreLockedError
from residency.store.migrations import STEPS, migrate, read_version
from residency.store.record_kind import RecordKind
from residency.store.store import Store

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
CONTEXT = multiprocessing.get_context("spawn")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with run_postgresql() as uri:
        yield uri.replace("postgresql:", "postgresql+psycopg:")
    gc.collect()


@pytest.fixture
def stores(url: str, tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    """The same store as two machines open it, each in a folder of its own."""
    pair = Store(tmp_path / "a", url), Store(tmp_path / "b", url)
    yield pair
    for store in pair:
        store.close()


def test_different_jobs_go_on_at_once_and_the_same_one_does_not(
    stores: tuple[Store, Store],
) -> None:
    first, second = stores
    with first.writer("run"), first.job("run run-1", "run"):
        with second.writer("judge"), second.job("run run-2", "judge"):
            pass
        with (
            second.writer("run"),
            pytest.raises(
                StoreLockedError, match=rf"residency run, process {os.getpid()} of .+ min"
            ),
            second.job("run run-1", "run"),
        ):
            pass
    with second.writer("run"), second.job("run run-1", "run"):
        pass


def test_one_judge_at_a_time_wherever_it_runs(stores: tuple[Store, Store]) -> None:
    first, second = stores
    with first.writer("judge"), pytest.raises(StoreLockedError), second.writer("judge"):
        pass
    with second.writer("judge"):
        second.add_record(RecordKind.ENDPOINT_CALL, "m-1", {"example": "ex-1"})
    assert first.records(RecordKind.ENDPOINT_CALL, "m-1")


def test_a_lock_counts_and_is_free_after_as_many_releases(stores: tuple[Store, Store]) -> None:
    first, second = stores
    with first.writer("run"), first.job("x", "run"):
        with first.job("x", "run"):
            pass
        with pytest.raises(StoreLockedError), second.job("x", "run"):
            pass
    with second.job("x", "run"):
        pass


def hold(folder: str, url: str, name: str, told: str) -> None:
    """In a child: take a lock and stay."""
    store = Store(Path(folder), url)
    with store.writer("run"), store.job(name, "run"):
        Path(told).touch()
        time.sleep(600)


def test_a_killed_holder_leaves_nothing_locked(url: str, tmp_path: Path) -> None:
    told = tmp_path / "told"
    child = CONTEXT.Process(target=hold, args=(str(tmp_path / "a"), url, "x", str(told)))
    child.start()
    while not told.exists():
        assert child.is_alive()
        time.sleep(0.05)
    store = Store(tmp_path / "b", url)
    with pytest.raises(StoreLockedError), store.job("x", "run"):
        pass
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    with store.job("x", "run", wait=60):
        pass
    store.close()


def test_whoever_lost_the_lock_does_not_write(
    stores: tuple[Store, Store], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = stores
    monkeypatch.setattr("residency.store.server_locks._PROVE_EVERY", 0.0)
    with first.writer("run"), first.job("x", "run"):
        engine = create_engine(url)
        with engine.begin() as connection:  # as a server does that starts anew
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name LIKE 'residency run%'"
                )
            )
        engine.dispose()
        with pytest.raises(StoreError, match="lock broke"):
            first.add_record(RecordKind.ENDPOINT_CALL, "m-2", {})
    assert not first.records(RecordKind.ENDPOINT_CALL, "m-2")


def open_and_write(folder: Path, url: str) -> None:
    """Open an earlier store, and add a row to it."""
    store = Store(folder, url)
    with store.writer("run"):
        store.add_record(RecordKind.ENDPOINT_CALL, "m-3", {"by": folder.name})
    store.close()


@pytest.mark.parametrize("version", [0, 1])
def test_many_open_an_earlier_store_at_once(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step is made once, nobody fails, and what everybody writes meanwhile is there."""
    with run_postgresql() as uri:
        address = uri.replace("postgresql:", "postgresql+psycopg:")
        with monkeypatch.context() as patch:
            patch.setattr("residency.store.migrations.STEPS", STEPS[:version])
            engine = create_engine(address)
            with engine.begin() as connection:
                migrate(connection)
            engine.dispose()
        names = [str(number) for number in range(6)]
        with ThreadPoolExecutor(len(names)) as pool:
            for done in [pool.submit(open_and_write, tmp_path / name, address) for name in names]:
                done.result()
        store = Store(tmp_path / "last", address)
        bodies = store.records(RecordKind.ENDPOINT_CALL, "m-3")
        assert sorted(body["by"] for body in bodies) == names
        with store._read() as connection:
            assert read_version(connection) == len(STEPS)
        store.close()


def test_a_snapshot_is_the_same_text_until_anybody_writes(stores: tuple[Store, Store]) -> None:
    """By it pages keep what they have read: it changes with each write of any machine, and with no read."""
    first, second = stores
    before = first.read_snapshot()
    assert first.records(RecordKind.NOTE) == second.records(RecordKind.NOTE)
    assert first.read_snapshot() == second.read_snapshot() == before
    second.add_record(RecordKind.NOTE, "m-1", {"text": "odd"})
    after = first.read_snapshot()
    assert after != before
    with second.all_or_nothing():
        second.add_record(RecordKind.NOTE, "m-1", {"text": "odder"})
        first.read_snapshot()
    assert first.read_snapshot() not in (before, after)


def test_a_store_in_a_file_needs_no_snapshot(tmp_path: Path) -> None:
    assert Store(tmp_path).read_snapshot() == ""
