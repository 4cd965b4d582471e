"""A database's errors as ours: what happened, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from residency.errors import StoreError, StoreLockedError

_NOT_WRITTEN = "the disk cannot be written, and may be full"
_MAKE_ROOM = "make room, or check the disk, and repeat the command; what is stored stays"
_SQLITE = (
    ("SQLITE_FULL", "the disk is full", "make room and repeat the command; what is stored stays"),
    ("SQLITE_BUSY", "another program keeps the database locked", "close it and try again"),
    ("SQLITE_LOCKED", "another program keeps the database locked", "close it and try again"),
    ("SQLITE_READONLY", "the database cannot be written", "make file and folder writable for you"),
    ("SQLITE_CANTOPEN", "the database cannot be opened", "check that its folder can be read"),
    ("SQLITE_PERM", "the database cannot be opened", "check that its folder can be read"),
    ("SQLITE_NOTADB", "the file is not a Residency store", "restore it from a backup"),
    ("SQLITE_CORRUPT", "the database is damaged", "restore the .residency folder from a backup"),
    ("SQLITE_IOERR_SHM", _NOT_WRITTEN, _MAKE_ROOM),
    ("SQLITE_IOERR_WRITE", _NOT_WRITTEN, _MAKE_ROOM),
    ("SQLITE_IOERR_FSYNC", _NOT_WRITTEN, _MAKE_ROOM),
    ("SQLITE_IOERR", "the disk does not read or write", "check the disk, or a network folder"),
)


@contextmanager
def explain_errors(where: str) -> Iterator[None]:
    """Inside, what the database raises becomes a ``StoreError``; statements and rows are not shown.

    Raises:
        StoreLockedError: another program holds the database. StoreError: anything else.
    """
    try:
        yield
    except DBAPIError as error:
        raise _explained(error, where) from error
    except SQLAlchemyError as error:
        raise StoreError(
            f"the store cannot be used: {str(error).splitlines()[0]}",
            where=where,
            next_step="check `store` under [project]",
        ) from error


def _explained(error: DBAPIError, where: str) -> StoreError:
    driver_lines = str(error.orig).strip().splitlines()
    reason = driver_lines[0] if driver_lines else type(error.orig).__name__
    name = str(getattr(error.orig, "sqlite_errorname", ""))
    for prefix, what, step in _SQLITE:
        if name.startswith(prefix):
            kind = StoreLockedError if "LOCKED" in prefix or "BUSY" in prefix else StoreError
            return kind(f"{what} ({reason})", where=where, next_step=step)
    return StoreError(
        f"the database refused: {reason}",
        where=where,
        next_step="check that it runs, that you may write to it, and `store` under [project]",
    )
