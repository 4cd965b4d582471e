"""JSON Lines and JSON arrays → records, as a stream."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from residency.errors import DataError
from residency.files.opening import find_encoding, find_rows_within, open_bytes, undecodable_error
from residency.files.record import Record


def read_json_lines_file(path: Path) -> Iterator[Record]:
    """One object a line."""
    with open_bytes(path) as raw:
        encoding = find_encoding(raw.read(4))
    if encoding not in ("utf-8", "utf-8-sig"):
        with io.TextIOWrapper(open_bytes(path), encoding=encoding) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _parse_line(number, line)
        return
    with open_bytes(path) as handle:
        for number, raw_line in enumerate(handle, 1):
            if number == 1:
                raw_line = raw_line.removeprefix(codecs.BOM_UTF8)
            if not raw_line.strip():
                continue
            try:
                yield _parse_line(number, raw_line.decode())
            except UnicodeDecodeError as error:
                yield Record(number, None, _not_utf8(error))


def _not_utf8(error: UnicodeDecodeError) -> str:
    byte = error.object[error.start]
    return f"not UTF-8: byte 0x{byte:02x} at position {error.start} of the line"


def _parse_line(number: int, line: str) -> Record:
    try:
        value = json.loads(line, object_pairs_hook=_unique_pairs)
    except _RepeatedKeyError as error:
        return Record(number, None, f"the key {error.key!r} stands twice", error.key)
    except (ValueError, RecursionError) as error:
        return Record(number, None, _describe_error(error))
    return _make_record(number, value)


def _describe_error(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        what = error.msg[0].lower() + error.msg[1:].removesuffix(" starting at").removesuffix(" at")
        return f"not valid JSON: {what} at character {error.pos + 1}"
    return "not valid JSON: nested too deeply" if isinstance(error, RecursionError) else str(error)


def _make_record(number: int, value: Any) -> Record:
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

    Rows of an array on one line are told apart by their number instead of their line.
    """
    with open_bytes(path) as raw:
        encoding = find_encoding(raw.read(4))
    decoder = json.JSONDecoder(object_pairs_hook=_unique_pairs)
    with io.TextIOWrapper(open_bytes(path), encoding=encoding, newline="") as handle:
        try:
            buffer = handle.read(1 << 16)
            text = buffer.lstrip()
            if text.startswith("{"):
                yield from _json_object(path, text + handle.read())
                return
            line = 1 + buffer.count("\n", 0, len(buffer) - len(text))
            buffer, at, size, ended = text, 1, 1 << 16, False
            first, rows, counted = line, 0, False
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
                counted = counted or (rows == 1 and line == first)
                position = rows + 1 if counted else line
                try:
                    value, end = decoder.raw_decode(buffer, at)
                except _RepeatedKeyError as error:
                    # The row's end is unknown now: find it with a decoder that allows repeats.
                    _, end = json.JSONDecoder().raw_decode(buffer, at)
                    yield Record(position, None, f"the key {error.key!r} stands twice", error.key)
                except (ValueError, RecursionError) as error:
                    if ended or isinstance(error, RecursionError):
                        yield Record(
                            position, None, f"{_describe_error(error)}; nothing after it was read"
                        )
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
                    yield _make_record(position, value)
                rows += 1
                line += buffer.count("\n", at, end)
                at = end
                if at > 1 << 20:
                    buffer, at, size = buffer[at:], 0, 1 << 16
        except UnicodeDecodeError as error:
            raise undecodable_error(path, error) from None


def _json_object(path: Path, text: str) -> Iterator[Record]:
    """Rows of one object, or objects that stand one after the other, over any number of lines."""
    decoder, at, line, objects = json.JSONDecoder(object_pairs_hook=_unique_pairs), 0, 1, []
    while at < len(text):
        if text[at] in " \t\r\n,":
            line += text[at] == "\n"
            at += 1
            continue
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise DataError(
                _describe_error(error),
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
