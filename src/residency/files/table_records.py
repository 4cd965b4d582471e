"""Tables → records, as a stream: CSV and its kin, a query of an SQLite file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from residency.errors import DataError
from residency.files.decompress import open_bytes
from residency.files.json_records import LONGEST_LINE
from residency.files.opening import decode_head, find_encoding
from residency.files.record import Record


def read_delimited(path: Path) -> Iterator[Record]:
    """Rows of a CSV, TSV or similar file; the header names the fields.

    Raises:
        DataError: a column stands twice in the header, or a line is longer than ``LONGEST_LINE``.
    """
    with open_bytes(path) as raw:
        head = raw.read(65536)
    encoding = find_encoding(head)
    limit = csv.field_size_limit(LONGEST_LINE)
    first = decode_head(head, path).lstrip("\ufeff").split("\n", 1)[0]
    delimiter = max(",\t;|", key=first.count)
    try:
        with io.TextIOWrapper(
            open_bytes(path),
            encoding="utf-8-sig" if encoding == "utf-8" else encoding,
            errors="surrogateescape" if encoding.startswith("utf-8") else "strict",
            newline="",
        ) as handle:
            reader = csv.reader(_read_lines(handle, path), delimiter=delimiter, strict=True)
            header = _read_header(reader, path)
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
                    yield Record(line, None, f"not valid CSV: {_describe_error(error)}")
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


def _read_lines(handle: io.TextIOBase, path: Path) -> Iterator[str]:
    """The lines, none held that is longer than a row may be."""
    for number, line in enumerate(iter(lambda: handle.readline(LONGEST_LINE + 1), ""), 1):
        if len(line) > LONGEST_LINE:
            raise DataError(
                f"a row of more than {LONGEST_LINE >> 20} MB",
                where=f"{path}:{number}",
                next_step="look for a quote that is not closed, or divide the row",
            )
        yield line


def _describe_error(error: csv.Error) -> str:
    if "field limit" in str(error):
        return f"a field of more than {LONGEST_LINE >> 20} MB; is a quote not closed?"
    return str(error)


def _read_header(reader: Iterator[list[str]], path: Path) -> list[str]:
    try:
        header = next(reader)
    except StopIteration:
        raise DataError("the file is empty", where=str(path)) from None
    except csv.Error as error:
        raise DataError(
            f"the header is not valid CSV: {error}",
            where=f"{path}:1",
            next_step="double quotes inside a quoted name, and close every quote",
        ) from None
    return header


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
