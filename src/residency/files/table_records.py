"""Tables → records, as a stream: CSV and its kin, a query of an SQLite file."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from residency.errors import DataError
from residency.files.bounded_lines import LONGEST_LINE, read_bounded_lines
from residency.files.decompress import open_bytes
from residency.files.opening import decode_head, find_encoding
from residency.files.record import Record
from residency.files.table_form import TableForm, find_table_form


def read_delimited(path: Path) -> Iterator[Record]:
    """Rows of a CSV, TSV or similar file; the header names the fields, nameless ones by their place
    (``column_3``). Rows without any text are left out.

    Raises:
        DataError: a column stands twice in the header, or a line is longer than ``LONGEST_LINE``.
    """
    with open_bytes(path) as raw:
        head = raw.read(65536)
    encoding = find_encoding(head)
    limit = csv.field_size_limit(LONGEST_LINE)
    form = find_table_form(decode_head(head, path).lstrip("\ufeff"))
    try:
        with io.TextIOWrapper(
            open_bytes(path),
            encoding="utf-8-sig" if encoding == "utf-8" else encoding,
            errors="surrogateescape" if encoding.startswith("utf-8") else "strict",
            newline="",
        ) as handle:
            for _ in range(form.before):
                handle.readline()
            lines = read_bounded_lines(
                handle, path, "look for a quote that is not closed, or divide the row"
            )
            reader = form.open_reader(lines)
            header = _read_header(reader, path, form)
            yield from _read_rows(reader, header, form)
    finally:
        csv.field_size_limit(limit)


def _read_rows(reader: Any, header: list[str], form: TableForm) -> Iterator[Record]:
    """The rows below the header."""
    while True:
        line = form.before + reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            end = form.before + reader.line_num
            lost = f"; lines {line} to {end} were taken for one row" if end > line else ""
            yield Record(line, None, f"not valid CSV: {_describe_error(error)}{lost}")
            continue
        if not any(row):
            continue
        while len(row) > len(header) and not row[-1]:
            row.pop()
        if len(row) == len(header):
            yield Record(line, dict(zip(header, row, strict=True)))
            continue
        reason = f"{len(row)} fields where the header has {len(header)}"
        if len(row) > len(header):
            reason += f"; a field that holds {form.delimiter!r} needs double quotes around it"
        yield Record(line, None, reason)


def _describe_error(error: csv.Error) -> str:
    if "expected after" in str(error):
        return (
            f'{error}; a quote within quotes is written twice (where files have \\" for it: '
            'sed \'s/\\\\"/""/g\' FILE > NEW)'
        )
    if "field limit" in str(error):
        return f"a field of more than {LONGEST_LINE >> 20} MB; is a quote not closed?"
    return str(error)


def _read_header(reader: Iterator[list[str]], path: Path, form: TableForm) -> list[str]:
    line = form.before + 1
    try:
        header = next(reader)
    except StopIteration:
        raise DataError("the file is empty", where=str(path)) from None
    except csv.Error as error:
        raise DataError(
            f"the header is not valid CSV: {error}",
            where=f"{path}:{line}",
            next_step="double quotes inside a quoted name, and close every quote",
        ) from None
    header = [name if name.strip() else f"column_{n}" for n, name in enumerate(header, 1)]
    numbered = [
        f"{name}_{header[:n].count(name) + 1}" if name in header[:n] else name
        for n, name in enumerate(header)
    ]
    if numbered != header:
        name = next(name for name in header if header.count(name) > 1)
        raise DataError(
            f"column {name!r} stands twice in the header",
            where=f"{path}:{line}",
            next_step=f"give each column a name of its own in line {line}, "
            f"such as {form.delimiter.join(numbered)}",
        )
    return header


def read_sqlite_query(path: Path, query: str) -> Iterator[Record]:
    """Rows of a query, from a database that is opened read-only.

    Raises:
        DataError: there is no query, or it fails.
    """
    import sqlite3

    if not query:
        raise _no_query(path)
    # mode=ro: nothing of the user's is ever changed, whatever the query says.
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description or ()]
            for number, row in enumerate(cursor, 1):
                yield Record(number, dict(zip(names, row, strict=True)))
        except sqlite3.Error as error:
            raise DataError(f"the query failed: {error}", where=str(path)) from None


def _no_query(path: Path) -> DataError:
    """That a query is needed, with one that the tables of the file would answer."""
    import sqlite3

    tables: dict[str, list[str]] = {}
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            names = connection.execute(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
            ).fetchall()
            for (name,) in names:
                kinds = connection.execute("SELECT name, type FROM pragma_table_info(?)", (name,))
                tables[name] = [column for column, kind in kinds if "TEXT" in kind.upper()]
        except sqlite3.Error as error:
            return DataError(f"the database cannot be read: {error}", where=str(path))
    name, columns = next(
        ((name, columns) for name, columns in tables.items() if len(columns) > 1),
        ("faq", ["question", "answer"]),
    )
    query = f"SELECT {', '.join(map(_quote_name, columns))} FROM {_quote_name(name)}"
    held = "; ".join(f"{name} ({', '.join(columns)})" for name, columns in tables.items())
    return DataError(
        "a query is needed to read a database"
        + (f"; its tables, with their columns of text: {held[:400]}" if held else ""),
        where=str(path),
        next_step=f"write it as {shlex.quote(f'sqlite:///{path.absolute()}?query={query}')}",
    )


def _quote_name(name: str) -> str:
    return name if name.isidentifier() else '"' + name.replace('"', '""') + '"'
