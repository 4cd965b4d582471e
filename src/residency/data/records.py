"""Files and queries → records (a dict and the line it came from), as a stream.

The kind of a file is found by content, not only by its name: JSON array, JSON Lines, CSV/TSV,
Parquet, Arrow, SQLite, plain text; each also compressed with gzip or zstandard.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast

from residency.errors import DataError

Kind = Literal["jsonl", "json", "csv", "parquet", "arrow", "sqlite", "text"]

TEXT_PIECE = 2000
"""Plain text is divided at paragraph ends into pieces of about this many characters."""

DOCUMENT_END = "<|endoftext|>"
"""Divides documents in a text file, as in the public pretraining sets."""

ROW_LISTS = {
    "messages",
    "conversations",
    "conversation",
    "chosen",
    "rejected",
    "instances",
    "tools",
}
"""Lists of objects that are a part of one row, not rows."""

_TABLE_ENDINGS = {".csv", ".tsv", ".tab", ".psv"}
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True)
class Record:
    """One row as it stands in its file.

    Attributes:
        line: 1-based line of a text file, or row of a table.
        values: its fields; None when the row could not be read.
        error: why it could not be read. field: where, if one field is at fault.
    """

    line: int
    values: dict[str, Any] | None
    error: str = ""
    field: str = ""


def open_bytes(path: Path) -> IO[bytes]:
    """The file's bytes, decompressed if it begins as gzip or zstandard does."""
    with path.open("rb") as probe:
        magic = probe.read(4)
    if magic[:2] == b"\x1f\x8b":
        return cast(IO[bytes], gzip.open(path, "rb"))
    if magic == b"\x28\xb5\x2f\xfd":
        import zstandard

        return io.BufferedReader(
            zstandard.ZstdDecompressor().stream_reader(path.open("rb"), closefd=True)
        )
    return path.open("rb")


def file_hash(path: Path) -> str:
    """``sha256:`` and the digest of the file as it lies on disk."""
    with path.open("rb") as handle:
        return "sha256:" + hashlib.file_digest(handle, "sha256").hexdigest()


def find_kind(path: Path) -> Kind:
    """What the file is, by its first bytes; its name decides only between CSV and text.

    Raises:
        DataError: the file is empty, or is a kind that is not supported.
    """
    name = path.name.removesuffix(".gz").removesuffix(".zst")
    suffix = Path(name).suffix.lower()
    with open_bytes(path) as handle:
        try:
            head = handle.read(65536)
        except (OSError, EOFError) as error:
            raise DataError(f"cannot be decompressed: {error}", where=str(path)) from None
    if head[:4] == b"PAR1":
        return "parquet"
    if head[:6] == b"ARROW1" or (head[:4] == b"\xff\xff\xff\xff" and suffix == ".arrow"):
        return "arrow"
    if head[:15] == b"SQLite format 3":
        return "sqlite"
    if head[:4] in (b"PK\x03\x04", b"%PDF") or head[:2] == b"BZ":
        raise DataError(
            "zip, bzip2, office and PDF files are not read",
            where=str(path),
            next_step="export the rows as JSONL, CSV, Parquet or text",
        )
    text = _head_text(head, path).lstrip()
    if not text:
        raise DataError("the file is empty", where=str(path), next_step="remove it from the list")
    if suffix in _TABLE_ENDINGS:
        return "csv"
    if text[0] == "[" and suffix != ".txt":
        return "json"
    if text[0] == "{":
        first, _, rest = text.partition("\n")
        try:
            whole = json.loads(first)
        except ValueError:
            # A pretty-printed object, a broken first line, or one that is longer than the head.
            return "json" if suffix == ".json" or len(first) < 80 else "jsonl"
        wrapped = isinstance(whole, dict) and not rest.strip() and _rows_within(whole)
        return "json" if wrapped else "jsonl"
    if suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    if suffix == ".json":
        return "json"
    return "text"


def _head_text(head: bytes, path: Path) -> str:
    encoding = _encoding(head)
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    return decoder.decode(head).replace("\x00", "")


def _encoding(head: bytes) -> str:
    return next((name for bom, name in _BOMS.items() if head.startswith(bom)), "utf-8")


def read_records(path: Path, kind: Kind, *, query: str = "") -> Iterator[Record]:
    """Every row of a file, in order, one in memory at a time.

    Raises:
        DataError: the file as a whole cannot be read.
    """
    if kind == "jsonl":
        return _jsonl(path)
    if kind == "json":
        return _json(path)
    if kind == "csv":
        return _csv(path)
    if kind in ("parquet", "arrow"):
        return _columnar(path, kind)
    if kind == "sqlite":
        return _sqlite(path, query)
    return _text(path)


def _jsonl(path: Path) -> Iterator[Record]:
    with open_bytes(path) as raw:
        encoding = _encoding(raw.read(4))
    if encoding not in ("utf-8", "utf-8-sig"):
        with io.TextIOWrapper(open_bytes(path), encoding=encoding) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _parse(number, line)
        return
    with open_bytes(path) as handle:
        for number, raw_line in enumerate(handle, 1):
            if number == 1:
                raw_line = raw_line.removeprefix(codecs.BOM_UTF8)
            if not raw_line.strip():
                continue
            try:
                yield _parse(number, raw_line.decode())
            except UnicodeDecodeError as error:
                yield Record(number, None, _not_utf8(error))


def _not_utf8(error: UnicodeDecodeError) -> str:
    byte = error.object[error.start]
    return f"not UTF-8: byte 0x{byte:02x} at position {error.start} of the line"


def _parse(number: int, line: str) -> Record:
    try:
        value = json.loads(line, object_pairs_hook=_unique)
    except _RepeatedKeyError as error:
        return Record(number, None, f"the key {error.key!r} stands twice", error.key)
    except (ValueError, RecursionError) as error:
        return Record(number, None, f"not valid JSON: {error}")
    return _record(number, value)


def _record(number: int, value: Any) -> Record:
    if not isinstance(value, dict):
        return Record(number, None, f"a JSON object is expected, found {type(value).__name__}")
    return Record(number, value)


class _RepeatedKeyError(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _RepeatedKeyError(key)
            seen.add(key)
    return out


def _json(path: Path) -> Iterator[Record]:
    """A JSON array as a stream; an object that holds one list of rows is read whole."""
    with open_bytes(path) as raw:
        encoding = _encoding(raw.read(4))
    decoder = json.JSONDecoder(object_pairs_hook=_unique)
    with io.TextIOWrapper(open_bytes(path), encoding=encoding, newline="") as handle:
        try:
            buffer = handle.read(1 << 16)
            text = buffer.lstrip()
            if text.startswith("{"):
                yield from _json_object(path, text + handle.read())
                return
            line = 1 + buffer.count("\n", 0, len(buffer) - len(text))
            buffer, at, size, ended = text, 1, 1 << 16, False
            while True:
                while True:  # white space and commas between rows
                    if at < len(buffer) and buffer[at] in " \t\r\n,":
                        line += buffer[at] == "\n"
                        at += 1
                    elif at >= len(buffer) and not ended:
                        buffer, at = handle.read(size), 0
                        ended = not buffer
                    else:
                        break
                if at >= len(buffer):
                    yield Record(line, None, "the JSON array is cut off: no closing bracket")
                    return
                if buffer[at] == "]":
                    return
                try:
                    value, end = decoder.raw_decode(buffer, at)
                except _RepeatedKeyError as error:
                    # The row's end is unknown now: find it with a decoder that allows repeats.
                    _, end = json.JSONDecoder().raw_decode(buffer, at)
                    yield Record(line, None, f"the key {error.key!r} stands twice", error.key)
                except ValueError as error:
                    if ended:
                        yield Record(line, None, f"not valid JSON from here on: {error}")
                        return
                    more = handle.read(size)
                    ended = not more
                    buffer, at, size = buffer[at:] + more, 0, size * 2
                    continue
                else:
                    if end == len(buffer) and not ended:
                        more = handle.read(size)  # a number may go on; a row may not
                        ended = not more
                        buffer, at = buffer[at:] + more, 0
                        continue
                    yield _record(line, value)
                line += buffer.count("\n", at, end)
                at = end
                if at > 1 << 20:
                    buffer, at, size = buffer[at:], 0, 1 << 16
        except UnicodeDecodeError as error:
            raise _undecodable(path, error) from None


def _undecodable(path: Path, error: UnicodeDecodeError) -> DataError:
    return DataError(
        f"not {error.encoding}: byte 0x{error.object[error.start]:02x}",
        where=str(path),
        next_step=f"convert it, e.g.: iconv -f WINDOWS-1252 -t UTF-8 {path.name} > utf8-{path.name}",
    )


def _json_object(path: Path, text: str) -> Iterator[Record]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise DataError(f"not valid JSON: {error}", where=str(path)) from None
    rows = _rows_within(value) or [value]
    for number, row in enumerate(rows, 1):
        yield _record(number, row)


def _rows_within(value: dict[str, Any]) -> list[Any]:
    """The rows of an object that holds one list of them; none if it is itself a row."""
    lists = [
        rows
        for name, rows in value.items()
        if isinstance(rows, list) and rows and isinstance(rows[0], dict) and name not in ROW_LISTS
    ]
    return lists[0] if len(lists) == 1 and not ROW_LISTS & value.keys() else []


def _csv(path: Path) -> Iterator[Record]:
    with open_bytes(path) as raw:
        head = raw.read(65536)
    encoding = _encoding(head)
    limit = csv.field_size_limit(1 << 30)
    first = _head_text(head, path).lstrip("\ufeff").split("\n", 1)[0]
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


def _columnar(path: Path, kind: str) -> Iterator[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        if kind == "parquet":
            with pq.ParquetFile(path) as table:
                for batch in table.iter_batches(batch_size=4096):
                    for row in batch.to_pylist():
                        number += 1
                        yield Record(number, row)
            return
        with pa.memory_map(str(path)) as source:
            for batch in _arrow_batches(source):
                for row in batch.to_pylist():
                    number += 1
                    yield Record(number, row)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"not a readable {kind} file: {error}", where=str(path)) from None


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


def _sqlite(path: Path, query: str) -> Iterator[Record]:
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


def _text(path: Path) -> Iterator[Record]:
    with open_bytes(path) as raw:
        encoding = _encoding(raw.read(4))
    line, start, size = 1, 1, 0
    piece: list[str] = []
    try:
        with io.TextIOWrapper(open_bytes(path), encoding=encoding) as handle:
            for number, text in enumerate(handle, 1):
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
        raise _undecodable(path, error) from None
    if "".join(piece).strip():
        yield Record(start, {"text": "".join(piece).strip()})
