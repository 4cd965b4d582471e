"""Members of one big JSON object as a stream: lists deep inside it are read an element at a time."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from residency.errors import DataError
from residency.files.decompress import DAMAGED, damaged_error, open_bytes
from residency.files.opening import find_encoding, undecodable_error

LONGEST_VALUE = 1 << 28
"""Characters of one value that is held in memory."""
_PIECE = 1 << 16


def read_json_members(
    path: Path, lists: Sequence[tuple[str, ...]]
) -> Iterator[tuple[tuple[str, ...], int, Any]]:
    """Place, line and value of every member of an object, in the order of the file.

    Args:
        lists: places of lists whose elements come one by one, such as ``("results", "results")``;
            objects on the way to them are opened, and everything else is one value.

    Raises:
        DataError: not an object, not JSON, or cut off; with the line.
    """
    try:
        with open_bytes(path) as raw:
            encoding = find_encoding(raw.read(4))
        with io.TextIOWrapper(open_bytes(path), encoding=encoding, newline="") as handle:
            stream = _JsonStream(path, handle)
            yield from stream.read_object((), tuple(lists))
            if stream.peek():
                raise stream.error("more text after the object's end")
    except DAMAGED as error:
        raise damaged_error(path, error) from None
    except UnicodeDecodeError as error:
        raise undecodable_error(path, error) from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path)) from None


class _JsonStream:
    """A reader that holds a piece of the text."""

    def __init__(self, path: Path, handle: io.TextIOWrapper) -> None:
        self._path, self._handle = path, handle
        self._buffer, self._at, self._line, self._ended = "", 0, 1, False
        self._size = _PIECE
        self._decoder = json.JSONDecoder()

    def error(self, what: str) -> DataError:
        """An error that names file and line."""
        return DataError(what, where=f"{self._path}:{self._line}", next_step="write the file again")

    def peek(self) -> str:
        """The next sign that is no white space; empty at the end."""
        while True:
            if self._at < len(self._buffer):
                sign = self._buffer[self._at]
                if sign not in " \t\r\n":
                    return sign
                self._line += sign == "\n"
                self._at += 1
            elif not self._read_on():
                return ""

    def read_object(
        self, path: tuple[str, ...], lists: tuple[tuple[str, ...], ...]
    ) -> Iterator[tuple[tuple[str, ...], int, Any]]:
        """The members of the object that begins here."""
        self._expect("{")
        if self.peek() == "}":
            self._expect("}")
            return
        while True:
            key = self._decode()
            if not isinstance(key, str):
                raise self.error("not valid JSON: a key in quotes is expected")
            self._expect(":")
            here, sign = (*path, key), self.peek()
            if sign == "[" and here in lists:
                yield from self._read_list(here)
            elif sign == "{" and any(
                list_path[: len(here)] == here and list_path != here for list_path in lists
            ):
                yield from self.read_object(here, lists)
            else:
                line = self._line
                yield here, line, self._decode()
            if self._expect(",}") == "}":
                return

    def _read_list(self, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int, Any]]:
        self._expect("[")
        if self.peek() == "]":
            self._expect("]")
            return
        while True:
            self.peek()
            line = self._line
            yield path, line, self._decode()
            if self._expect(",]") == "]":
                return

    def _expect(self, signs: str) -> str:
        sign = self.peek()
        if not sign:
            raise self.error("the JSON is cut off")
        if sign not in signs:
            wanted = " or ".join(signs)
            raise self.error(f"not valid JSON: {wanted} is expected, found {sign!r}")
        self._at += 1
        return sign

    def _decode(self) -> Any:
        """The value that begins here, reading on while it is not complete."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
                if end < len(self._buffer) or self._ended:
                    self._line += self._buffer.count("\n", self._at, end)
                    self._at, self._size = end, _PIECE
                    return value
            except RecursionError:
                raise self.error("not valid JSON: nested too deeply") from None
            except ValueError as error:
                if self._ended:
                    self._line += self._buffer.count("\n", self._at, getattr(error, "pos", 0))
                    cut = getattr(error, "pos", 0) >= len(self._buffer.rstrip())
                    cut = cut or "Unterminated" in str(error)
                    message = "the JSON is cut off" if cut else f"not valid JSON: {error}"
                    raise self.error(message) from None
            if len(self._buffer) - self._at > LONGEST_VALUE:
                raise self.error(f"one value of more than {LONGEST_VALUE >> 20} MB")
            self._read_on()

    def _read_on(self) -> bool:
        """Whether there was more; the piece doubles while one value is read."""
        more = self._handle.read(self._size)
        self._size = min(self._size * 2, 1 << 24)
        self._buffer, self._at = self._buffer[self._at :] + more, 0
        self._ended = not more
        return bool(more)
