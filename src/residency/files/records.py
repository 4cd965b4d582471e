"""Files and queries → records (a dict and the line it came from), as a stream."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from residency.errors import DataError
from residency.files.bounded_lines import read_bounded_lines
from residency.files.columnar_records import read_columnar
from residency.files.decompress import DAMAGED, damaged_error, open_bytes
from residency.files.json_records import read_json_array, read_json_lines_file
from residency.files.opening import (
    Kind,
    find_encoding,
    find_kind,
    undecodable_error,
)
from residency.files.record import Record
from residency.files.table_records import read_delimited, read_sqlite_query
from residency.files.yaml_records import read_yaml

__all__ = ["Kind", "Record", "find_kind", "read_records"]

TEXT_PIECE = 2000
"""Plain text is divided at paragraph ends into pieces of about this many characters."""

DOCUMENT_END = "<|endoftext|>"
"""Divides documents in a text file, as in the public pretraining sets."""


def read_records(path: Path, kind: Kind, *, query: str = "") -> Iterator[Record]:
    """Every row of a file, in order, one in memory at a time.

    Raises:
        DataError: the file as a whole cannot be read, or it is compressed and cut off.
    """
    try:
        yield from _open_records(path, kind, query)
    except DAMAGED as error:
        raise damaged_error(path, error) from None
    except UnicodeDecodeError as error:
        raise undecodable_error(path, error) from None
    except UnicodeError as error:
        raise DataError(
            f"not in its encoding: {error}", where=str(path), next_step="export it again as UTF-8"
        ) from None


def _open_records(path: Path, kind: Kind, query: str) -> Iterator[Record]:
    if kind == "jsonl":
        return read_json_lines_file(path)
    if kind == "json":
        return read_json_array(path)
    if kind == "csv":
        return read_delimited(path)
    if kind in ("parquet", "arrow"):
        return read_columnar(path, kind)
    if kind == "yaml":
        return read_yaml(path)
    if kind == "sqlite":
        return read_sqlite_query(path, query)
    return _read_text(path)


def _read_text(path: Path) -> Iterator[Record]:
    with open_bytes(path) as raw:
        encoding = find_encoding(raw.read(4))
    line, start, size = 1, 1, 0
    piece: list[str] = []
    try:
        with io.TextIOWrapper(open_bytes(path), encoding=encoding) as handle:
            lines = read_bounded_lines(
                handle, path, "break it into lines, e.g. with fold -s -w 2000"
            )
            for number, text in enumerate(lines, 1):
                line = number
                ended = DOCUMENT_END in text
                text = text.replace(DOCUMENT_END, "")
                if not piece and not text.strip():
                    start = number + 1
                    continue
                piece.append(text)
                size += len(text)
                paragraph = not text.strip() or size > 4 * TEXT_PIECE
                if ended or (size >= TEXT_PIECE and paragraph):
                    yield Record(start, {"text": "".join(piece).strip()})
                    piece, size, start = [], 0, line + 1
    except UnicodeDecodeError as error:
        raise undecodable_error(path, error) from None
    if "".join(piece).strip():
        yield Record(start, {"text": "".join(piece).strip()})
