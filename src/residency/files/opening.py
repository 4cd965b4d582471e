"""Files as they lie on disk: decompressed, their encoding, and what kind they are.

The kind is found by content, not only by the name: JSON array, JSON Lines, CSV/TSV, Parquet,
Arrow, SQLite, plain text; each also compressed with gzip, zstandard, bzip2 or xz.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import json
import lzma
import re
import zlib
from pathlib import Path
from typing import IO, Any, Literal, cast

import zstandard

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
    "prompt",
    "completion",
    "response",
    "output",
    "answer",
    "history",
    "segments",
    "annotations",
    "replies",
}
"""Lists of objects that are a part of one row, not rows."""

COMPRESSED = {".gz", ".zst", ".bz2", ".xz"}
"""Endings of compressed files."""

DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError, lzma.LZMAError)
"""What reading a compressed file raises when it is cut off or broken."""

_ARRAY = re.compile(r"\[\s*[\[\]{\"\d-]")
"""How a JSON array begins; a text may begin with a bracket, too."""
_PROSE_ENDINGS = {".txt", ".text", ".md"}
_TABLE_ENDINGS = {".csv", ".tsv", ".tab", ".psv"}
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def open_bytes(path: Path) -> IO[bytes]:
    """The file's bytes, decompressed if it begins as gzip, zstandard, bzip2 or xz does.

    Reading raises ``EOFError`` where a compressed file is cut off.
    """
    with path.open("rb") as probe:
        magic = probe.read(6)
    if magic[:2] == b"\x1f\x8b":
        return cast(IO[bytes], gzip.open(path, "rb"))
    if magic[:3] == b"BZh":
        return cast(IO[bytes], bz2.open(path, "rb"))
    if magic == b"\xfd7zXZ\x00":
        return cast(IO[bytes], lzma.open(path, "rb"))
    if magic[:4] == b"\x28\xb5\x2f\xfd":
        return io.BufferedReader(_Zstandard(path), buffer_size=1 << 17)
    return path.open("rb")


class _Zstandard(io.RawIOBase):
    """Decompressed bytes of all frames. zstandard's own reader takes a cut file for a whole one."""

    def __init__(self, path: Path) -> None:
        self._make = zstandard.ZstdDecompressor().decompressobj
        self._frame, self._file, self._rest = self._make(), path.open("rb"), b""

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        while not self._rest:
            compressed = self._frame.unused_data if self._frame.eof else b""
            compressed = compressed or self._file.read(1 << 17)
            if not compressed:
                if not self._frame.eof:
                    raise EOFError("the last frame does not end")
                return 0
            if self._frame.eof:
                self._frame = self._make()
            self._rest = self._frame.decompress(compressed)
        size = min(len(target), len(self._rest))
        target[:size], self._rest = self._rest[:size], self._rest[size:]
        return size

    def close(self) -> None:
        self._file.close()
        super().close()


def inner_suffix(path: Path) -> str:
    """The ending of the name without that of the compression, in lower case."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in COMPRESSED else suffix


def find_kind(path: Path) -> Kind:
    """What the file is, by its first bytes; its name decides only between CSV and text.

    Raises:
        DataError: the file is empty, or is a kind that is not supported.
    """
    suffix = inner_suffix(path)
    with open_bytes(path) as handle:
        try:
            head = handle.read(65536)
        except DAMAGED as error:
            raise damaged_error(path, error) from None
    if head[:4] == b"PAR1":
        return "parquet"
    if head[:6] == b"ARROW1" or (head[:4] == b"\xff\xff\xff\xff" and suffix == ".arrow"):
        return "arrow"
    if head[:15] == b"SQLite format 3":
        return "sqlite"
    if head[:4] in (b"PK\x03\x04", b"%PDF"):
        raise DataError(
            "zip, office and PDF files are not read",
            where=str(path),
            next_step="export the rows as JSONL, CSV, Parquet or text",
        )
    if b"\x00" in head and find_encoding(head) == "utf-8":
        _refuse_binary(path, head)
    text = decode_head(head, path).lstrip()
    if not text:
        raise DataError("the file is empty", where=str(path), next_step="remove it from the list")
    if suffix in _TABLE_ENDINGS:
        return "csv"
    if _ARRAY.match(text) and suffix not in _PROSE_ENDINGS:
        return "json"
    if text[0] == "{":
        first, _, tail = text.partition("\n")
        try:
            first_value = json.loads(first)
        except (ValueError, RecursionError):
            # A pretty-printed object, a broken first line, or one that is longer than the head.
            return "json" if suffix == ".json" or len(first) < 80 else "jsonl"
        wrapped = (
            isinstance(first_value, dict) and not tail.strip() and find_rows_within(first_value)
        )
        return "json" if wrapped else "jsonl"
    if suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    if suffix == ".json":
        return "json"
    return "text"


def _refuse_binary(path: Path, head: bytes) -> None:
    """Text may hold a NUL; every second byte NUL is UTF-16, and more of other signs is no text."""
    for start, name in ((0, "UTF-16BE"), (1, "UTF-16LE")):
        if head[start::2].count(0) > 0.4 * len(head[start::2]):
            raise DataError(
                f"{name} without a byte-order mark",
                where=str(path),
                next_step=f"convert it: iconv -f {name} -t UTF-8 {path.name} > utf8-{path.name}",
            )
    if sum(byte < 9 or 13 < byte < 32 for byte in head) > 0.02 * len(head):
        raise DataError(
            "neither text nor a format that is known",
            where=str(path),
            next_step="export the rows as JSONL, CSV, Parquet or text",
        )


def damaged_error(path: Path, error: BaseException) -> DataError:
    """The error for a compressed file that is cut off or broken."""
    return DataError(
        f"cannot be decompressed to its end: {error}",
        where=str(path),
        next_step="copy or download the file again",
    )


def decode_head(head: bytes, path: Path) -> str:
    """The beginning of a text file, without NULs and the end that may be half a character."""
    encoding = find_encoding(head)
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    return decoder.decode(head).replace("\x00", "")


def find_encoding(head: bytes) -> str:
    """The encoding that the byte-order mark names, else UTF-8."""
    return next((name for bom, name in _BOMS.items() if head.startswith(bom)), "utf-8")


def find_rows_within(value: dict[str, Any]) -> list[Any]:
    """The rows of an object that holds one list of them; none if it is itself a row."""
    lists = [
        rows
        for name, rows in value.items()
        if isinstance(rows, list) and rows and isinstance(rows[0], dict) and name not in ROW_LISTS
    ]
    return lists[0] if len(lists) == 1 and not ROW_LISTS & value.keys() else []


def undecodable_error(path: Path, error: UnicodeDecodeError) -> DataError:
    """The error for a file that is not in its encoding: the byte, and how to convert it."""
    return DataError(
        f"not {error.encoding}: byte 0x{error.object[error.start]:02x}",
        where=str(path),
        next_step=describe_conversion(path),
    )


def describe_conversion(path: Path) -> str:
    """How to convert a file that is not UTF-8."""
    return f"convert it, e.g.: iconv -f WINDOWS-1252 -t UTF-8 {path.name} > utf8-{path.name}"
