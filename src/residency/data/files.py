"""Files as they lie on disk: decompressed, their encoding, and what kind they are.

The kind is found by content, not only by the name: JSON array, JSON Lines, CSV/TSV, Parquet,
Arrow, SQLite, plain text; each also compressed with gzip or zstandard.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import json
from pathlib import Path
from typing import IO, Any, Literal, cast

from residency.errors import DataError

Kind = Literal["jsonl", "json", "csv", "parquet", "arrow", "sqlite", "text"]

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
    text = head_text(head, path).lstrip()
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
        wrapped = isinstance(whole, dict) and not rest.strip() and rows_within(whole)
        return "json" if wrapped else "jsonl"
    if suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    if suffix == ".json":
        return "json"
    return "text"


def head_text(head: bytes, path: Path) -> str:
    """The beginning of a text file, without NULs and the end that may be half a character."""
    encoding = encoding_of(head)
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    return decoder.decode(head).replace("\x00", "")


def encoding_of(head: bytes) -> str:
    """The encoding that the byte-order mark names, else UTF-8."""
    return next((name for bom, name in _BOMS.items() if head.startswith(bom)), "utf-8")


def rows_within(value: dict[str, Any]) -> list[Any]:
    """The rows of an object that holds one list of them; none if it is itself a row."""
    lists = [
        rows
        for name, rows in value.items()
        if isinstance(rows, list) and rows and isinstance(rows[0], dict) and name not in ROW_LISTS
    ]
    return lists[0] if len(lists) == 1 and not ROW_LISTS & value.keys() else []


def undecodable(path: Path, error: UnicodeDecodeError) -> DataError:
    """The error for a file that is not in its encoding: the byte, and how to convert it."""
    return DataError(
        f"not {error.encoding}: byte 0x{error.object[error.start]:02x}",
        where=str(path),
        next_step=f"convert it, e.g.: iconv -f WINDOWS-1252 -t UTF-8 {path.name} > utf8-{path.name}",
    )
