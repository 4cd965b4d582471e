"""Tables → records, as a stream: CSV and its kin, Parquet, Arrow, a query of an SQLite file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from residency.errors import DataError
from residency.files.opening import decode_head, find_encoding, open_bytes
from residency.files.record import Record


def read_delimited(path: Path) -> Iterator[Record]:
    """Rows of a CSV, TSV or similar file; the header names the fields.

    Raises:
        DataError: a column stands twice in the header.
    """
    with open_bytes(path) as raw:
        head = raw.read(65536)
    encoding = find_encoding(head)
    limit = csv.field_size_limit(1 << 30)
    first = decode_head(head, path).lstrip("\ufeff").split("\n", 1)[0]
    delimiter = max(",\t;|", key=first.count)
    try:
        with io.TextIOWrapper(
            open_bytes(path),
            encoding="utf-8-sig" if encoding == "utf-8" else encoding,
            errors="surrogateescape" if encoding.startswith("utf-8") else "strict",
            newline="",
        ) as handle:
            reader = csv.reader(handle, delimiter=delimiter, strict=True)
            header = next(reader)
            repeated = {name for name in header if header.count(name) > 1}
            if repeated:
                raise DataError(
                    f"column {sorted(repeated)[0]!r} stands twice in the header", where=f"{path}:1"
                )
            while True:
                line = reader.line_num + 1
                try:
                    row = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield Record(line, None, f"not valid CSV: {error}")
                    continue
                if not row:
                    continue
                if len(row) != len(header):
                    yield Record(
                        line, None, f"{len(row)} fields where the header has {len(header)}"
                    )
                else:
                    yield Record(line, dict(zip(header, row, strict=True)))
    finally:
        csv.field_size_limit(limit)


def read_columnar(path: Path, kind: str) -> Iterator[Record]:
    """Rows of a Parquet or Arrow file (either form of Arrow).

    Raises:
        DataError: it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        if kind == "parquet":
            with pq.ParquetFile(path) as table:
                for batch in table.iter_batches(batch_size=4096):
                    for row in _batch_rows(batch):
                        number += 1
                        yield Record(number, row)
            return
        with pa.memory_map(str(path)) as source:
            for batch in _arrow_batches(source):
                for row in _batch_rows(batch):
                    number += 1
                    yield Record(number, row)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"not a readable {kind} file: {error}", where=str(path)) from None


def _batch_rows(batch: Any) -> list[dict[str, Any]]:
    """The rows of a batch. Structs hold every field that any row has: in nested values, those that
    are null were not there (as in the arguments of two tools)."""
    import pyarrow as pa

    rows: list[dict[str, Any]] = batch.to_pylist()
    for name in [field.name for field in batch.schema if pa.types.is_nested(field.type)]:
        for row in rows:
            row[name] = _without_nulls(row[name])
    return rows


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _arrow_batches(source: Any) -> Iterator[Any]:
    import pyarrow as pa

    try:
        reader = pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        yield from pa.ipc.open_stream(source)
        return
    for index in range(reader.num_record_batches):
        yield reader.get_batch(index)


def read_sqlite_query(path: Path, query: str) -> Iterator[Record]:
    """Rows of a query, from a database that is opened read-only.

    Raises:
        DataError: there is no query, or it fails.
    """
    import sqlite3

    if not query:
        raise DataError(
            "a query is needed to read a database",
            where=str(path),
            next_step=f'write it as "sqlite:///{path}?query=SELECT question, answer FROM faq"',
        )
    # mode=ro: nothing of the user's is ever changed, whatever the query says.
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description or ()]
            for number, row in enumerate(cursor, 1):
                yield Record(number, dict(zip(names, row, strict=True)))
        except sqlite3.Error as error:
            raise DataError(f"the query failed: {error}", where=str(path)) from None
