"""JSON Lines and JSON arrays → records, as a stream."""

from __future__ import annotations

import codecs
import io
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from residency.errors import DataError
from residency.files.bounded_lines import LONGEST_LINE, read_bounded_lines
from residency.files.decompress import open_bytes
from residency.files.json_comments import remove_comments, skip_comments
from residency.files.opening import find_encoding, find_rows_within, undecodable_error
from residency.files.record import Record
from residency.files.turn_lists import is_turn_list

_PIECE = 1 << 16
_MOST_WHOLE = 1 << 28
"""Characters of an object that is read whole; it costs a few times as many bytes."""
_BETWEEN = re.compile(r"[ \t\r\n,]*")
_LINE_NEXT = "write one object a line (JSON Lines), or divide the row"


def read_json_lines_file(path: Path) -> Iterator[Record]:
    """One object a line.

    Raises:
        DataError: a line is longer than ``LONGEST_LINE``.
    """
    with open_bytes(path) as raw:
        encoding = find_encoding(raw.read(4))
    if encoding not in ("utf-8", "utf-8-sig"):
        with io.TextIOWrapper(open_bytes(path), encoding=encoding) as lines:
            for number, line in enumerate(read_bounded_lines(lines, path, _LINE_NEXT), 1):
                if line.strip():
                    yield from _parse_line(number, line, path)
        return
    with open_bytes(path) as handle:
        for number, raw_line in enumerate(read_bounded_lines(handle, path, _LINE_NEXT), 1):
            if number == 1:
                raw_line = raw_line.removeprefix(codecs.BOM_UTF8)
            if not raw_line.strip():
                continue
            try:
                yield from _parse_line(number, raw_line.decode(), path)
            except UnicodeDecodeError as error:
                yield Record(number, None, _not_utf8(error))


def _not_utf8(error: UnicodeDecodeError) -> str:
    byte = error.object[error.start]
    return f"not UTF-8: byte 0x{byte:02x} at position {error.start} of the line"


def _parse_line(number: int, line: str, path: Path) -> Iterator[Record]:
    """The row of a line; none where the line is a comment."""
    try:
        value = json.loads(line, object_pairs_hook=_unique_pairs)
    except _RepeatedKeyError as error:
        yield Record(number, None, f"the key {error.key!r} stands twice", error.key)
    except (ValueError, RecursionError) as error:
        plain = remove_comments(line).strip().removesuffix(",")
        if not plain or line.lstrip().startswith("#"):
            return
        if plain != line.strip():
            yield from _parse_line(number, plain, path)
            return
        yield Record(number, None, _describe_error(error, path))
    else:
        yield _make_record(number, value)


def _describe_error(error: Exception, path: Path) -> str:
    if not isinstance(error, json.JSONDecodeError):
        return (
            "not valid JSON: nested too deeply" if isinstance(error, RecursionError) else str(error)
        )
    what = error.msg[0].lower() + error.msg[1:].removesuffix(" starting at").removesuffix(" at")
    step, sign = "", error.doc[error.pos : error.pos + 1]
    name = shlex.quote(path.name)
    if what.startswith("expecting property name") and sign == "'":
        step = (
            "; these are Python's objects, write them as JSON: python -c \"import ast, json, sys; "
            f'[print(json.dumps(ast.literal_eval(row))) for row in sys.stdin]" < {name} > rows.jsonl'
        )
    elif what.startswith("expecting property name") and sign.isidentifier():
        step = f"; keys without quotes are read as YAML: cp {name} {shlex.quote(path.stem)}.yaml"
    return f"not valid JSON: {what} at character {error.pos + 1}{step}"


def _make_record(number: int, value: Any) -> Record:
    """The value as a row; a bare list of turns is the row of a conversation."""
    if is_turn_list(value):
        value = {"messages": value}
    if not isinstance(value, dict):
        return Record(number, None, f"a JSON object is expected, found {type(value).__name__}")
    return Record(number, value)


class _RepeatedKeyError(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        known_keys: set[str] = set()
        for key, _ in pairs:
            if key in known_keys:
                raise _RepeatedKeyError(key)
            known_keys.add(key)
    return out


def read_json_array(path: Path) -> Iterator[Record]:
    """A JSON array as a stream; objects, and one that holds a list of rows, are read whole.

    Rows of an array on one line are told apart by their number instead of their line. The pieces are
    cut here and not by ijson (3.4): it tells no row's line, keeps the last of repeated keys without
    a word, and refuses the NaN that tables are exported with.
    """
    with open_bytes(path) as raw:
        encoding = find_encoding(raw.read(4))
    with io.TextIOWrapper(open_bytes(path), encoding=encoding, newline="") as handle:
        try:
            buffer = handle.read(_PIECE)
            text = buffer[skip_comments(buffer) :]
            if text.startswith("{"):
                text += handle.read(_MOST_WHOLE)
                if len(text) > _MOST_WHOLE:
                    raise DataError(
                        f"one JSON object of more than {_MOST_WHOLE >> 20} MB is not read",
                        where=str(path),
                        next_step="write its rows one a line (JSON Lines), e.g. with jq -c '.data[]'",
                    )
                yield from _json_object(path, text)
                return
            line = 1 + buffer.count("\n", 0, len(buffer) - len(text))
            yield from _ArrayReader(handle, path, text, line).read_rows()
        except UnicodeDecodeError as error:
            raise undecodable_error(path, error) from None


class _ArrayReader:
    """The rows of an array, a piece of its text in memory at a time.

    Args:
        text: the beginning, from the bracket on. line: the line that it stands on.
    """

    def __init__(self, handle: io.TextIOWrapper, path: Path, text: str, line: int) -> None:
        self._path, self._cleaned = path, False
        self._handle, self._buffer, self._at, self._line = handle, text, 1, line
        self._size, self._ended = _PIECE, False
        self._decoder = json.JSONDecoder(object_pairs_hook=_unique_pairs)

    def read_rows(self) -> Iterator[Record]:
        """Every row; an error that hides where the next row begins is the last."""
        first, rows, counted = self._line, 0, False
        while self._skip_between():
            if self._buffer[self._at] == "]":
                self._at += 1
                if self._skip_between():
                    reason = "more text after the array's end: it was not read"
                    yield Record(self._line, None, reason)
                return
            counted = counted or (rows == 1 and self._line == first)
            position = rows + 1 if counted else self._line
            try:
                value, end = self._decode()
                record = _make_record(position, value)
            except _RepeatedKeyError as error:
                # The row's end is unknown now: find it with a decoder that allows repeats.
                _, end = json.JSONDecoder().raw_decode(self._buffer, self._at)
                record = Record(position, None, f"the key {error.key!r} stands twice", error.key)
            except (ValueError, RecursionError) as error:
                if self._remove_comments():
                    continue
                reason = f"{_describe_error(error, self._path)}; nothing after it was read"
                yield Record(position, None, reason)
                return
            yield record
            rows += 1
            self._line += self._buffer.count("\n", self._at, end)
            self._at = end
            if self._at > 1 << 20:
                self._buffer, self._at, self._size = self._buffer[self._at :], 0, _PIECE
        yield Record(self._line, None, "the JSON array is cut off: no closing bracket")

    def _remove_comments(self) -> bool:
        """Take comments and needless commas out of what is left; whether there were any."""
        if self._cleaned or not self._ended:
            return False
        self._cleaned, rest = True, self._buffer[self._at :]
        self._buffer, self._at = remove_comments(rest), 0
        return self._buffer != rest

    def _skip_between(self) -> bool:
        """Go to the next sign that is no white space or comma; False at the end of the file."""
        while True:
            if self._at < len(self._buffer):
                end = _BETWEEN.match(self._buffer, self._at).end()  # type: ignore[union-attr]
                self._line += self._buffer.count("\n", self._at, end)
                self._at = end
                if end < len(self._buffer):
                    return True
            elif self._ended:
                return False
            else:
                self._buffer, self._at = self._handle.read(self._size), 0
                self._ended = not self._buffer

    def _decode(self) -> tuple[Any, int]:
        """The row that begins here and where it ends, reading on while it is not complete.

        Raises:
            ValueError, RecursionError: it is not JSON, whatever follows, or it is too long.
        """
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
            except _RepeatedKeyError:
                # Thrown where an object ends; the row around it may go on beyond the buffer.
                try:
                    json.JSONDecoder().raw_decode(self._buffer, self._at)
                except ValueError:
                    if self._ended:
                        raise
                else:
                    raise
            except ValueError:
                if self._ended:
                    raise
            else:
                if end < len(self._buffer) or self._ended:
                    return value, end  # a number may go on at the end of the buffer; a row may not
            if len(self._buffer) - self._at > LONGEST_LINE:
                raise ValueError(f"a row of more than {LONGEST_LINE >> 20} MB")
            more = self._handle.read(self._size)
            self._ended = not more
            self._buffer, self._at = self._buffer[self._at :] + more, 0
            self._size *= 2


def _json_object(path: Path, text: str) -> Iterator[Record]:
    """Rows of one object, or objects that stand one after the other, over any number of lines."""
    decoder, at, line, objects = json.JSONDecoder(object_pairs_hook=_unique_pairs), 0, 1, []
    cleaned = False
    while at < len(text):
        end = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]
        if end > at:
            line += text.count("\n", at, end)
            at = end
            continue
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            if not cleaned and (plain := remove_comments(text[at:])) != text[at:]:
                text, at, cleaned = plain, 0, True
                continue
            raise DataError(
                _describe_error(error, path),
                where=f"{path}:{line}",
                next_step="write one object a line (JSON Lines), or an array of objects",
            ) from None
        objects.append((line, value))
        line += text.count("\n", at, end)
        at = end
    if len(objects) == 1 and (rows := find_rows_within(objects[0][1])):
        objects = list(enumerate(rows, 1))
    for position, value in objects:
        yield _make_record(position, value)
