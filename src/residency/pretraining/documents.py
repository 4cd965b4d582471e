"""Raw text as documents: files of several formats, read as a stream, and the split held out."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from residency.errors import DataError
from residency.files.bounded_lines import read_bounded_lines
from residency.files.check_table import check_table
from residency.files.decompress import DAMAGED, inner_suffix, open_bytes
from residency.files.opening import undecodable_error

TEXT_SUFFIXES = {".txt", ".md", ".text"}
JSON_SUFFIXES = {".jsonl", ".ndjson"}
_LONGEST_TEXT = 1 << 28
"""Bytes that a compressed text may open to: it is one document, held whole."""
_HEAD = 100
"""Documents looked at first, to hold out at least one of a small corpus."""


@dataclass(frozen=True)
class Document:
    """One text, and where it was read (``file`` or ``file:line``)."""

    text: str
    where: str


@dataclass(frozen=True)
class Corpus:
    """One source of documents.

    Attributes:
        path: a file, or a folder read in order of names. field: the text's name in JSON or Parquet.
        share: its share of the training tokens.
        held_out: a file or folder of held-out documents, or the share of documents held out.
    """

    name: str
    path: Path
    share: float = 1.0
    field: str = "text"
    held_out: Path | float = 0.01


def corpus_files(path: Path) -> list[Path]:
    """The readable files of a corpus, by name.

    Raises:
        DataError: the path does not exist, or nothing in it is text, JSON lines or Parquet.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError("no such file or folder", where=str(path))
    files = sorted(p for p in path.rglob("*") if p.is_file() and _file_kind(p) != "unknown")
    if not files:
        raise DataError(
            "no text here",
            where=str(path),
            next_step="give .txt, .md, .jsonl (also .gz, .zst, .xz, .bz2) or .parquet files",
        )
    return files


def text_stamps(corpora: Sequence[Corpus]) -> list[Any]:
    """What tells one text from another without reading it: names, sizes and times."""
    stamps: list[Any] = []
    for corpus in corpora:
        paths = [corpus.path] + ([corpus.held_out] if isinstance(corpus.held_out, Path) else [])
        held = "" if isinstance(corpus.held_out, Path) else corpus.held_out
        stamps.append([corpus.name, corpus.field, held])
        for path in paths:
            for file in corpus_files(path):
                stat = file.stat()
                stamps.append([file.name, stat.st_size, stat.st_mtime_ns])
    return stamps


def read_documents(path: Path, field: str = "text") -> Iterator[Document]:
    """Every non-empty document: a whole text file, a JSON line, or a Parquet row.

    Raises:
        DataError: a binary file, a line that is not JSON, a row without the field; no text at all.
    """
    empty = True
    for file in corpus_files(path):
        kind = _file_kind(file)
        if kind == "text":
            documents = _read_text(file)
        elif kind == "json":
            documents = _read_json(file, field)
        elif kind == "parquet":
            documents = _read_parquet(file, field)
        else:
            raise DataError(
                f"cannot read {file.suffix or 'this'} files",
                where=str(file),
                next_step="give .txt, .md, .jsonl (also .gz, .zst, .xz, .bz2) or .parquet files",
            )
        for document in documents:
            if document.text.strip():
                empty = False
                yield document
    if empty:
        raise DataError(
            "no text here: every document is empty",
            where=str(path),
            next_step="give files with text in them",
        )


def _file_kind(file: Path) -> str:
    suffix = inner_suffix(file)
    if suffix in TEXT_SUFFIXES:
        return "text"
    if suffix in JSON_SUFFIXES:
        return "json"
    return "parquet" if suffix == ".parquet" else "unknown"


def _decode_text(raw: bytes, where: str) -> str:
    if b"\0" in raw:
        raise DataError("a binary file, not text", where=where, next_step="leave it out")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"not UTF-8 text (byte {error.start})", where=where, next_step="convert it to UTF-8"
        ) from None


def _read_text(file: Path) -> Iterator[Document]:
    most = max(_LONGEST_TEXT, file.stat().st_size)
    with open_bytes(file) as handle:
        try:
            raw = handle.read(most + 1)
        except (*DAMAGED, OSError) as error:
            raise DataError(f"the compressed file is damaged: {error}", where=str(file)) from None
    if len(raw) > most:
        raise DataError(
            f"it opens to one text of more than {_LONGEST_TEXT >> 20} MB",
            where=str(file),
            next_step="decompress it and divide it: split -C 100m --additional-suffix=.txt FILE",
        )
    yield Document(_decode_text(raw, str(file)), str(file))


def _read_json(file: Path, field: str) -> Iterator[Document]:
    with open_bytes(file) as handle:
        lines = read_bounded_lines(handle, file, "write one document a line")
        try:
            for number, raw in enumerate(lines, 1):
                where = f"{file}:{number}"
                line = _decode_text(raw, where)
                if line.strip():
                    yield Document(_read_field(line, field, where), where)
        except (*DAMAGED, OSError) as error:
            raise DataError(f"the compressed file is damaged: {error}", where=str(file)) from None


def _read_field(line: str, field: str, where: str) -> str:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON: {error}", where=where) from None
    if isinstance(row, dict) and isinstance(row.get(field), str):
        return str(row[field])
    raise DataError(
        f"no text in the field {field!r}",
        where=where,
        next_step=f"name the field with `field`; this row has: "
        f"{', '.join(row) if isinstance(row, dict) else type(row).__name__}",
    )


def _read_parquet(file: Path, field: str) -> Iterator[Document]:
    import pyarrow.parquet as parquet

    rows = check_table(file, "parquet").rows_at_once  # a damaged one can crash its reader
    table = parquet.ParquetFile(file)
    if field not in table.schema_arrow.names:
        raise DataError(
            f"no column {field!r}",
            where=str(file),
            next_step=f"name the column with `field`; there are: {', '.join(table.schema_arrow.names)}",
        )
    number = 0
    for batch in table.iter_batches(batch_size=min(rows, 256), columns=[field]):
        try:
            values = batch.column(0).to_pylist()
        except UnicodeDecodeError as error:
            raise undecodable_error(file, error) from None
        for value in values:
            number += 1
            if isinstance(value, str):
                yield Document(value, f"{file} row {number}")


# --- held-out documents ----------------------------------------------------------------------


def split_documents(corpus: Corpus, *, held_out: bool) -> Iterator[Document]:
    """The training documents of a corpus, or those held out.

    With a share, a document is held out by the hash of its text, so the choice does not depend
    on the order. Of a corpus of a single document the end is held out, from a line on, or from a word
    on where lines are long.
    """
    if isinstance(corpus.held_out, Path):
        yield from read_documents(corpus.held_out if held_out else corpus.path, corpus.field)
        return
    share = corpus.held_out
    stream = read_documents(corpus.path, corpus.field)
    head = list(itertools.islice(stream, _HEAD))
    if len(head) == 1 and share > 0:
        only = head[0]
        cut = _find_cut(only.text, int(len(only.text) * (1 - share)))
        yield Document(only.text[cut:] if held_out else only.text[:cut], only.where)
        return
    lowest = min((_hash_fraction(document.text) for document in head), default=1.0)
    for document in itertools.chain(head, stream):
        fraction = _hash_fraction(document.text)
        # A small corpus may have no document below the share: then its lowest is held out.
        if (fraction < share or (share > 0 and fraction == lowest)) == held_out:
            yield document


def _find_cut(text: str, wanted: int) -> int:
    """Where a text is divided in two: behind a line, or a space, that ends shortly before ``wanted``."""
    for mark in ("\n", " "):
        cut = text.rfind(mark, 0, wanted) + 1
        if 2 * cut >= wanted:
            return cut
    return wanted


def _hash_fraction(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return float(int.from_bytes(digest[:8]) / 2**64)
