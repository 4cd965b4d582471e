"""The project's database: opened, brought to today's schema, read by all, written under locks."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Select,
    Table,
    cast,
    create_engine,
    event,
    select,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from residency.config.secret_url import SecretUrl, reveal_url
from residency.errors import NotRunError, StoreError, UnlockedWriteError
from residency.store.database_errors import explain_errors
from residency.store.lock import WriterLock
from residency.store.migrations import STEPS, migrate, read_version
from residency.store.server_locks import ServerLocks

FILE_NAME = "store.db"
BUSY_MILLISECONDS = 10_000
"""How long SQLite waits for another program that keeps the database locked."""
_SIDE_BY_SIDE = frozenset({"run", "eval", "train", "target", "baseline", "bench", "estimate"})
"""Commands of which several machines may do one at once: what one has stored the other finds."""
_IN_CLAUSE = 500
"""Values in one IN clause; SQLite takes at least 999."""

Value = TypeVar("Value")


def write_time() -> str:
    """The time that stands beside a row, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def chunked(values: Iterable[Value]) -> Iterator[list[Value]]:
    """Values in lists short enough for an IN clause."""
    several = list(values)
    for start in range(0, len(several), _IN_CLAUSE):
        yield several[start : start + _IN_CLAUSE]


class Database:
    """Rows in and out of one SQLite file or PostgreSQL database.

    Args:
        folder: the project's ``.residency`` folder.
        url: a database URL; empty for the SQLite file in the folder.
        create: make the database when there is none.

    Raises:
        StoreError: it cannot be opened, or there is none and ``create`` is False.
    """

    def __init__(self, folder: Path, url: str = "", *, create: bool = True) -> None:
        self.folder = folder
        path = folder.absolute() / FILE_NAME
        if not url and not create and not path.exists():
            raise NotRunError(
                "nothing is stored here yet", where=str(folder.parent), next_step="residency run"
            )
        self._held = threading.local()  # the connection of all_or_nothing
        self._lock = WriterLock(folder / "writer.lock")
        self._log_lock = WriterLock(folder / "log.lock")
        if create:
            self._make_folder()
        self.address, self._engine = _open_engine(path, url)
        self._server_locks = ServerLocks(self._engine, self.address) if self.is_shared else None
        with explain_errors(self.address):
            self._bring_up_to_date()

    @property
    def is_shared(self) -> bool:
        """Whether it is a database server's, which other machines may write to."""
        return self._engine.dialect.name != "sqlite"

    def read_snapshot(self) -> str:
        """Which transactions of a database server can be seen now: as long as it is the same text, no row
        is another one. Empty for a file, whose time and size tell."""
        if not self.is_shared:
            return ""
        with self._read() as connection:
            return str(connection.execute(text("SELECT pg_current_snapshot()::text")).scalar_one())

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @contextmanager
    def writer(self, command: str) -> Iterator[None]:
        """The lock of every command that writes, held for all it does.

        In one folder one command writes at a time. A store in a database server has writers in
        several folders: there a command holds a lock of its own beside it (one judge at a time, also
        while a run goes on), and those whose results are named by their content go side by side,
        each job of theirs under its own lock (``job``).

        Raises:
            StoreLockedError: another process holds it.
        """
        outermost = not self._lock.held
        with contextlib.ExitStack() as stack:
            self._lock.take_lock(command)
            stack.callback(self._lock.release_lock)
            if outermost and command not in _SIDE_BY_SIDE:
                stack.enter_context(self.job(f"command {command}", command))
            yield

    @contextmanager
    def job(self, name: str, command: str, *, wait: float = 0.0) -> Iterator[None]:
        """Among all who share the store, one does this at a time. Taken inside ``writer``.

        A store in a file needs none: there the writer lock is the whole store's.

        Args:
            name: what is done, the same wherever it is done. wait: seconds; ``inf``: until it is free.

        Raises:
            StoreLockedError: another process does it.
        """
        if self._server_locks is None:
            yield
            return
        with explain_errors(self.address):
            self._server_locks.take_lock(name, command, wait=wait)
        try:
            yield
        finally:
            self._server_locks.release_lock(name)

    @contextmanager
    def people(self, command: str) -> Iterator[None]:
        """The lock of what people add, for a file of theirs and its record together.

        It is held for a moment, while a run may hold the writer lock for hours. Nobody who holds it
        takes the writer lock, so neither waits for the other for ever.

        Raises:
            StoreLockedError: somebody else adds, for ten seconds now.
        """
        self._log_lock.take_lock(command, wait=10.0)
        try:
            yield
        finally:
            self._log_lock.release_lock()

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """What this thread stores while inside appears at the end, or not at all after an error.

        Others wait for it: for what is stored at once, not for work.
        """
        with explain_errors(self.address), self._engine.begin() as connection:
            self._held.connection = connection
            try:
                yield
            finally:
                self._held.connection = None

    # --- for the tables --------------------------------------------------------------------

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        if (held := getattr(self._held, "connection", None)) is not None:
            yield held
            return
        with explain_errors(self.address), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        """A transaction.

        Raises:
            UnlockedWriteError: the writer lock is not held.
        """
        if not self._lock.held:
            raise UnlockedWriteError(
                "a row was to be written without the project's writer lock",
                where=self.address,
                next_step="write inside `with store.writer(COMMAND):`",
            )
        if self._server_locks is not None:
            self._server_locks.prove_held()
        with self._begin() as connection:
            yield connection

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        if (held := getattr(self._held, "connection", None)) is not None:
            yield held
            return
        with explain_errors(self.address), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _append(self) -> Iterator[Connection]:
        """A short transaction that adds to the log, for people who need not wait for a run.

        Raises:
            StoreLockedError: somebody else adds to the log, for ten seconds now.
        """
        with contextlib.ExitStack() as stack:
            if not self._lock.held:
                self._log_lock.take_lock("adding to the log", wait=10.0)
                stack.callback(self._log_lock.release_lock)
            yield stack.enter_context(self._begin())

    def _insert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows; those that are there already stay as they are."""
        if rows:
            with self._write() as connection:
                insert_missing(connection, table, rows)

    def _bodies(self, query: Select[Any]) -> list[dict[str, Any]]:
        with self._read() as connection:
            return [json.loads(row[0]) for row in connection.execute(query)]

    def _body_of(self, table: Table, key: str, noun: str) -> dict[str, Any]:
        bodies = self._bodies(select(table.c.body).where(table.c.id == key))
        if not bodies:
            raise StoreError(
                f"there is no {noun} {key}", next_step="residency status lists what is stored"
            )
        return bodies[0]

    # --- opening ---------------------------------------------------------------------------

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the project's folder cannot be written: {error.strerror}",
                where=str(self.folder),
                next_step="make it writable for you",
            ) from error

    def _bring_up_to_date(self) -> None:
        with self._engine.connect() as connection:
            if read_version(connection) == len(STEPS):
                return
        self._make_folder()
        doing = "opening an earlier store"
        self._lock.take_lock(doing, wait=10.0)
        try:
            with self.job("schema", doing, wait=60.0), self._engine.begin() as connection:
                if read_version(connection) < len(STEPS):  # nobody was faster
                    migrate(connection)
        finally:
            self._lock.release_lock()


def insert_missing(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows inside a transaction; those that are there already stay as they are."""
    dialect = importlib.import_module(f"sqlalchemy.dialects.{connection.dialect.name}")
    connection.execute(dialect.insert(table).on_conflict_do_nothing(), list(rows))


def as_jsonb(column: Any) -> Any:
    """A text column read as PostgreSQL's JSON; the dialect is loaded only where it is used."""
    from sqlalchemy.dialects.postgresql import JSONB

    return cast(column, JSONB)


def _open_engine(path: Path, url: str) -> tuple[str, Engine]:
    """What to call the database in messages (without a password), and its engine."""
    if url:
        try:
            address = make_url(reveal_url(url))
            return str(SecretUrl(url)), create_engine(address)
        except (ArgumentError, NoSuchModuleError, ImportError):
            raise StoreError(
                "the address of the store is not one of a database",
                where="`store` under [project]",
                next_step='leave it empty, or write "postgresql+psycopg://user@host/name"',
            ) from None
    if path.exists() and not os.access(path.parent, os.W_OK):
        # SQLite wants to write files beside the database even to read it, unless told that nobody
        # changes it; a folder that cannot be written holds what it held.
        name = f"file:{quote(str(path))}?mode=ro&immutable=1"
        return str(path), create_engine(
            "sqlite://", creator=lambda: sqlite3.connect(name, uri=True, check_same_thread=False)
        )
    # URL.create takes the path as it is: `?`, `%` and `#` have no meaning in it.
    engine = create_engine(URL.create("sqlite", database=str(path)))
    event.listen(engine, "connect", _set_up_sqlite)
    return str(path), engine


def _set_up_sqlite(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
