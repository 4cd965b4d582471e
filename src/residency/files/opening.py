"""What kind of file it is, and its encoding: the one list of formats that are read.

The kind follows from content and name: JSON array, JSON Lines, CSV/TSV, YAML, Parquet,
Arrow, SQLite, plain text; text formats also compressed (``decompress.py``).
"""

from __future__ import annotations

import codecs
import json
import re
import shlex
from pathlib import Path
from typing import Any, Literal

from residency.errors import DataError
from residency.files.decompress import (
    DAMAGED,
    damaged_error,
    find_compression,
    inner_suffix,
    open_bytes,
)
from residency.files.table_form import COLUMN_NAMES
from residency.files.turn_lists import is_turn, is_turn_list

Kind = Literal["jsonl", "json", "csv", "parquet", "arrow", "sqlite", "yaml", "text"]

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
    "responses",
    "suggestions",
    "choices",
    "options",
    "answers",
    "completions",
    "candidates",
    "generations",
    "outputs",
    "paragraphs",
    "chat_messages",
}
"""Lists of objects that are a part of one row, not rows."""

_ARRAY = re.compile(r"\[\s*[\[\]{\"\d-]")
"""How a JSON array begins; a text may begin with a bracket, too."""
_ROWS = re.compile(r'\[\s*\{\s*"[^"\n]*"\s*:')
"""How an array of objects begins, whatever its file is called."""
JSON_ENDINGS = (".json", ".jsonc", ".json5")
_PROSE_ENDINGS = {".txt", ".text", ".md"}
_TABLE_ENDINGS = {".csv", ".tsv", ".tab", ".psv"}
_PAGE_ENDINGS = {".html", ".htm", ".xhtml", ".xml"}
_PAGE = re.compile(r"<!doctype html|<html[\s>]", re.IGNORECASE)
_BINARY_TABLES = {
    ".parquet": "Parquet",
    ".arrow": "Arrow",
    ".feather": "Arrow",
    ".sqlite": "SQLite",
    ".sqlite3": "SQLite",
    ".db": "SQLite",
}
_BINARY = {
    b"PK\x03\x04": "a zip archive or office file",
    b"PK\x05\x06": "an empty zip archive",
    b"%PDF": "a PDF file",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"RIFF": "a picture, sound or film",
    b"ID3": "a sound file",
    b"OggS": "a sound file",
    b"fLaC": "a sound file",
    b"\x7fELF": "a program",
    b"MZ\x90": "a program",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a rar archive",
    b"GGUF": "a model file",
    b"\x93NUMPY": "a NumPy file",
    b"\x89HDF": "an HDF5 file",
    b"\x80\x04\x95": "a pickle",
    b"\xd0\xcf\x11\xe0": "an old office file",
}
"""How files begin that hold no rows of text."""
_NO_TEXT_ENDINGS = {
    ".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ico", ".heic", ".mp3", ".mp4",
    ".wav", ".ogg", ".flac", ".mov", ".avi", ".mkv", ".zip", ".tar", ".7z", ".rar", ".pdf", ".doc",
    ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".odt", ".ods", ".exe", ".dll", ".so", ".bin", ".pt",
    ".pth", ".ckpt", ".safetensors", ".gguf", ".onnx", ".pkl", ".pickle", ".npy", ".npz", ".h5",
}  # fmt: skip
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


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
    if find_compression(head):
        raise DataError(
            f"compressed twice: {find_compression(head)} within a compressed file",
            where=str(path),
            next_step="decompress it once and name the result",
        )
    _refuse_known_binary(path, head)
    if find_encoding(head) == "utf-8":
        _refuse_binary(path, head)
    text = decode_head(head, path).lstrip()
    if not text:
        raise DataError("the file is empty", where=str(path), next_step="remove it from the list")
    _refuse_other_content(path, suffix, text)
    if suffix in _TABLE_ENDINGS or (
        suffix in _PROSE_ENDINGS and (_has_tab_columns(text) or _has_known_header(text))
    ):
        return "csv"
    if (_ROWS if suffix in _PROSE_ENDINGS else _ARRAY).match(text):
        return "jsonl" if _has_conversation_lines(text) else "json"
    if text[0] == "{":
        first, _, tail = text.partition("\n")
        try:
            first_value = json.loads(first)
        except (ValueError, RecursionError):
            # A pretty-printed object, a broken first line, or one that is longer than the head.
            return "json" if suffix in JSON_ENDINGS or len(first) < 80 else "jsonl"
        wrapped = (
            isinstance(first_value, dict) and not tail.strip() and find_rows_within(first_value)
        )
        return "json" if wrapped else "jsonl"
    if suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    if suffix in JSON_ENDINGS:
        return "json"
    if suffix in (".yaml", ".yml"):
        return "yaml"
    return "text"


def _has_known_header(text: str) -> bool:
    """Whether the first line is nothing but names that columns of examples have."""
    first = text.split("\n", 1)[0]
    names = [name.strip(' "\r').lower() for name in re.split(r"[,;|\t]", first)]
    return len(names) > 1 and set(names) <= COLUMN_NAMES


def _has_tab_columns(text: str) -> bool:
    """Whether each of the first lines has as many tabs, as in what Excel calls Unicode Text."""
    lines = [line for line in text.splitlines()[:21] if line.strip()][:20]
    tabs = {line.count("\t") for line in lines}
    return len(lines) > 1 and len(tabs) == 1 and min(tabs) > 0


def _refuse_other_content(path: Path, suffix: str, text: str) -> None:
    """Pages that were saved in a file's place, and texts named as binary tables."""
    page = bool(_PAGE.match(text)) and suffix not in _PROSE_ENDINGS | _PAGE_ENDINGS
    if not page and suffix not in _BINARY_TABLES:
        return
    what = "an HTML page" if page else f"no {_BINARY_TABLES[suffix]} file"
    raise DataError(
        f"{what}: it begins with {text[:40].splitlines()[0]!r}",
        where=str(path),
        next_step="download the file itself (a site's raw or download link)",
    )


def _has_conversation_lines(text: str) -> bool:
    """Whether the first line is a conversation, as a list of turns, and another list follows."""
    first, _, tail = text.partition("\n")
    try:
        return tail.lstrip().startswith("[") and is_turn_list(json.loads(first))
    except (ValueError, RecursionError):
        return False


def _refuse_known_binary(path: Path, head: bytes) -> None:
    """Pictures, sound, archives, programs and models, by their first bytes or their name.

    Raises:
        DataError: it is one.
    """
    kind = next((name for magic, name in _BINARY.items() if head.startswith(magic)), "")
    if kind and b"xl/" in head:
        kind = "an Excel sheet"
    if head[257:262] == b"ustar" or _is_old_tar(head):
        kind = "a tar archive"
    suffix = inner_suffix(path)
    if kind or suffix in _NO_TEXT_ENDINGS:
        raise DataError(
            f"{kind or f'{suffix} files hold no rows of text'}: not read",
            where=str(path),
            next_step=_suggest_export(path, kind, suffix),
        )


def _suggest_export(path: Path, kind: str, suffix: str) -> str:
    """How the rows of a file that is not read become ones that are."""
    name = shlex.quote(str(path))
    if suffix in (".xlsx", ".xls", ".ods") or "sheet" in kind:
        return (
            'save the sheet as "CSV UTF-8" (in Excel: File, Save As), or: '
            f"libreoffice --headless --convert-to csv {name}"
        )
    if suffix == ".zip":
        return f"unzip {name} -d {shlex.quote(str(path.with_suffix('')))}, and name the files in it"
    if "tar" in kind or suffix == ".tar":
        return f"tar -xf {name}, and name the files in it"
    return (
        "zip, office, PDF, pictures and models are not read; export the rows as JSONL, CSV, Parquet "
        "or text"
    )


def _is_old_tar(head: bytes) -> bool:
    """Whether a tar archive without a mark begins here: its first block ends its own sum."""
    block = head[:512]
    try:
        named = int(block[148:156].strip(b" \0"), 8)
    except ValueError:
        return False
    return len(block) == 512 and sum(block[:148]) + 8 * 32 + sum(block[156:]) == named


def _refuse_binary(path: Path, head: bytes) -> None:
    """Text may hold a NUL; every second byte NUL is UTF-16, and more of other signs is no text."""
    for start, name in ((0, "UTF-16BE"), (1, "UTF-16LE")):
        halves = head[start::2], head[1 - start :: 2]
        if halves[0].count(0) > 0.4 * len(halves[0]) and halves[1].count(0) < 0.4 * len(halves[1]):
            raise DataError(
                f"{name} without a byte-order mark",
                where=str(path),
                next_step=f"convert it: iconv -f {name} -t UTF-8 {path.name} > utf8-{path.name}",
            )
    most = 0.02 if b"\x00" in head else 0.1
    if sum(byte < 9 or 13 < byte < 32 for byte in head) > most * len(head):
        raise DataError(
            "neither text nor a format that is known",
            where=str(path),
            next_step="export the rows as JSONL, CSV, Parquet or text",
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
        if isinstance(rows, list) and rows and isinstance(rows[0], dict) and not is_turn(rows[0])
    ]
    names = {name.strip().lower() for name in value}
    return lists[0] if len(lists) == 1 and not ROW_LISTS & names else []


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
