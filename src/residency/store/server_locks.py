"""Locks by name in a PostgreSQL server: two machines that share a store have no file in common.

A lock is the server's advisory lock of one connection, so it is dropped when the process dies, kill -9
and a pulled cable included. The connection's name says who holds it, for the one who has to wait.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import platform
import threading
import time

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from residency.errors import StoreError, StoreLockedError

_NAME_BYTES = 63
"""What PostgreSQL keeps of a connection's name."""
_ASK_EVERY = 0.25
_PROVE_EVERY = 20.0
"""Seconds between two proofs that the connection, and with it every lock, is still there."""

_HOLDER = text(
    "SELECT a.application_name, extract(epoch FROM now() - a.state_change) FROM pg_locks l "
    "JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = 'advisory' AND l.granted "
    "AND l.objsubid = 1 AND ((l.classid::bigint << 32) | l.objid::bigint) = :key"
)


class ServerLocks:
    """The locks that this store's process holds in the server, each counted.

    Args:
        engine: of the PostgreSQL database. address: what to call it in messages.
    """

    def __init__(self, engine: Engine, address: str) -> None:
        self._engine = engine
        self._address = address
        self._connection: Connection | None = None
        self._depths: dict[str, int] = {}
        self._guard = threading.RLock()
        self._proved = 0.0

    def take_lock(self, name: str, command: str, *, wait: float = 0.0) -> None:
        """Take the lock of a name, or say who has it.

        Args:
            wait: seconds to wait for another holder; ``inf`` waits until it ends.

        Raises:
            StoreLockedError: another process holds it.
        """
        end = time.monotonic() + wait
        while not self._try_lock(name, command):
            if time.monotonic() >= end:
                raise StoreLockedError(
                    f"another process is at this{self._describe_holder(name)}",
                    where=self._address,
                    next_step="wait until it ends, or stop it with Ctrl-C; nothing is lost",
                )
            time.sleep(_ASK_EVERY)

    def release_lock(self, name: str) -> None:
        """Give it back once; the connection goes with the last lock."""
        with self._guard:
            self._depths[name] -= 1
            if self._depths[name]:
                return
            del self._depths[name]
            if self._connection is None:
                return
            with contextlib.suppress(SQLAlchemyError):  # a lost connection has lost its locks
                self._connection.execute(text("SELECT pg_advisory_unlock(:key)"), _key_of(name))
            if not self._depths:
                self._leave()

    def prove_held(self) -> None:
        """Ask now and then whether the locks are still ours, before something is written.

        Raises:
            StoreError: the connection broke, and others may be writing.
        """
        with self._guard:
            if self._connection is None or time.monotonic() - self._proved < _PROVE_EVERY:
                return
            try:
                self._connection.execute(text("SELECT 1"))
            except SQLAlchemyError:
                self._leave()
                raise StoreError(
                    "the connection that held this command's lock broke",
                    where=self._address,
                    next_step="look at the database, then run the same command: it goes on",
                ) from None
            self._proved = time.monotonic()

    def _try_lock(self, name: str, command: str) -> bool:
        with self._guard:
            if name not in self._depths:
                if self._connection is None:
                    self._connection = self._connect(command)
                query = text("SELECT pg_try_advisory_lock(:key)")
                if not self._connection.execute(query, _key_of(name)).scalar():
                    if not self._depths:
                        self._leave()
                    return False
                self._proved = time.monotonic()
            self._depths[name] = self._depths.get(name, 0) + 1
            return True

    def _connect(self, command: str) -> Connection:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        name = _describe_process(command).encode()[:_NAME_BYTES].decode(errors="ignore")
        connection.execute(
            text("SELECT set_config('application_name', :name, false)"), {"name": name}
        )
        return connection

    def _leave(self) -> None:
        """Close the connection itself: one in the pool would hold its locks."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                connection.detach()
                connection.close()

    def _describe_holder(self, name: str) -> str:
        with contextlib.suppress(SQLAlchemyError), self._engine.connect() as connection:
            row = connection.execute(_HOLDER, _key_of(name)).first()
            if row is not None:
                return f" ({row[0]}, for {float(row[1]) / 60:.0f} min)"
        return ""


def _key_of(name: str) -> dict[str, int]:
    digest = hashlib.blake2b(f"residency\0{name}".encode(), digest_size=8).digest()
    return {"key": int.from_bytes(digest, "big", signed=True)}


def _describe_process(command: str) -> str:
    try:
        person = getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        person = str(os.getuid()) if hasattr(os, "getuid") else "somebody"
    return f"residency {command}, process {os.getpid()} of {person} on {platform.node()}"
