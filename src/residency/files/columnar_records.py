"""Parquet and Arrow files → records, as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from residency.errors import DataError
from residency.files.check_table import check_table
from residency.files.record import Record
from residency.files.table_batches import open_batches


def read_columnar(path: Path, kind: str) -> Iterator[Record]:
    """Rows of a Parquet or Arrow file (either form of Arrow), proved readable beforehand.

    Raises:
        DataError: it cannot be read.
    """
    import pyarrow as pa

    size = check_table(path, kind)
    number = 0
    try:
        for batch in open_batches(path, kind, size.rows_at_once):
            yield from _read_batch(batch, number)
            number += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"not a readable {kind} file: {error}", where=str(path)) from None


def _read_batch(batch: Any, before: int) -> Iterator[Record]:
    """The rows of a batch. Structs hold every field that any row has: in nested values, those that
    are null were not there (as in the arguments of two tools)."""
    import pyarrow as pa

    names = batch.schema.names
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise pa.ArrowInvalid(f"column {repeated!r} stands twice")
    nested = [field.name for field in batch.schema if pa.types.is_nested(field.type)]
    try:
        rows = batch.to_pylist()
    except (ValueError, OverflowError, TypeError, pa.ArrowException):
        rows = [None] * batch.num_rows
    for index, row in enumerate(rows):
        number = before + index + 1
        if row is None:
            try:
                [row] = batch.slice(index, 1).to_pylist()
            except (ValueError, OverflowError, TypeError, pa.ArrowException) as error:
                yield Record(number, None, _describe_value_error(error))
                continue
        for name in nested:
            row[name] = _without_nulls(row[name])
        yield Record(number, row)


def _describe_value_error(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        byte = error.object[error.start]
        return f"not UTF-8: byte 0x{byte:02x} at position {error.start}"
    return f"a value cannot be read: {error}"


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
