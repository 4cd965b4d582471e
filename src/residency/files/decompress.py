"""Compressed files opened as their bytes: gzip, zstandard, bzip2 and xz, told by their first bytes.

A small archive can open to more than a machine holds. Reading stops, and names the file, where it
has grown beyond ``FREE_BYTES`` and to more than ``MOST_GROWTH`` times its size on disk.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import zstandard

from residency.errors import DataError
from residency.files.lfs_pointer import BEGINNING, NEXT_STEP

SUFFIXES = (".gz", ".zst", ".bz2", ".xz")
"""Endings of compressed files: the name before them says what is inside."""

DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError, lzma.LZMAError)
"""What reading a compressed file raises when it is cut off or broken."""

FREE_BYTES = 1 << 30
MOST_GROWTH = 200

_PIECE = 1 << 16
"""Compressed bytes read at a time."""
_MOST_READY = 1 << 20
"""Decompressed bytes that are made at a time."""
_MEMORY = 1 << 28
"""Bytes that an xz file may ask for."""
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
}
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")
"""What stands after the mark and a digit; a text may begin with BZh, too."""


def find_compression(head: bytes) -> str:
    """How a file is compressed that begins so; nothing where it is not."""
    kind = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")
    return "" if kind == "bzip2" and head[4:10] not in _BZIP2_BLOCKS else kind


def open_bytes(path: Path) -> IO[bytes]:
    """The file's bytes, decompressed if it begins as a compressed file does.

    Reading raises one of ``DAMAGED`` where a compressed file is cut off or broken.

    Raises:
        OSError: it cannot be opened.
        DataError: it is a Git LFS pointer; while reading: it opens to far more than it is.
    """
    with path.open("rb") as probe:
        head = probe.read(len(BEGINNING))
    if head == BEGINNING:
        raise DataError(
            "a Git LFS pointer, not the file itself", where=str(path), next_step=NEXT_STEP
        )
    kind = find_compression(head)
    if not kind:
        return path.open("rb")
    return io.BufferedReader(_Decompressed(path, kind), buffer_size=1 << 17)


def inner_suffix(path: Path) -> str:
    """The ending of a file's name in small letters, without that of its compression."""
    outer = path.suffix.lower()
    return Path(path.stem).suffix.lower() if outer in SUFFIXES else outer


def damaged_error(path: Path, error: BaseException) -> DataError:
    """The error for a compressed file that is cut off or broken."""
    return DataError(
        f"cannot be decompressed to its end: {error}",
        where=str(path),
        next_step="copy or download the file again",
    )


class _GzipFrame:
    """Gzip's decompressor with the methods of ``bz2`` and ``lzma``."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self.needs_input = True

    def decompress(self, data: bytes, max_length: int) -> bytes:
        made = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.needs_input = len(made) < max_length and not self._inner.unconsumed_tail
        return made

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


class _ZstandardFrame:
    """Zstandard's likewise. It knows no limit of what is made: half a KB makes 16 MB at worst."""

    _STEP = 1 << 9

    def __init__(self) -> None:
        self._inner = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
        self._data, self._at = b"", 0

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if data:
            self._data, self._at = self._data[self._at :] + data, 0
        made: list[bytes] = []
        size = 0
        while size < max_length and not self.needs_input and not self._inner.eof:
            made.append(self._inner.decompress(self._data[self._at : self._at + self._STEP]))
            self._at += self._STEP
            size += len(made[-1])
        return b"".join(made)

    @property
    def needs_input(self) -> bool:
        return self._at >= len(self._data)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data + self._data[self._at :]


_FRAMES: dict[str, Callable[[], Any]] = {
    "gzip": _GzipFrame,
    "zstandard": _ZstandardFrame,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=_MEMORY),
}


class _Decompressed(io.RawIOBase):
    """Decompressed bytes of all frames, one after the other; a cut file raises ``EOFError``."""

    def __init__(self, path: Path, kind: str) -> None:
        self._path, self._size = path, path.stat().st_size
        self._file = path.open("rb")
        self._start = _FRAMES[kind]
        self._frame = self._start()
        self._ready, self._at, self._total = b"", 0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        while self._at >= len(self._ready):
            if not self._make_ready():
                return 0
        size = min(len(target), len(self._ready) - self._at)
        target[:size] = memoryview(self._ready)[self._at : self._at + size]
        self._at += size
        return size

    def _make_ready(self) -> bool:
        """Decompress on, perhaps to nothing yet; False at the end of the last frame."""
        data = b""
        if self._frame.eof:
            data = self._frame.unused_data or self._file.read(_PIECE)
            if not data.strip(b"\0"):  # padding after the last frame
                if data and (data := self._file.read(_PIECE)).strip(b"\0"):
                    raise EOFError("something else stands after the last frame")
                return False
            self._frame = self._start()
        elif self._frame.needs_input:
            data = self._file.read(_PIECE)
            if not data:
                raise EOFError("the last frame does not end")
        try:
            self._ready, self._at = self._frame.decompress(data, _MOST_READY), 0
        except OSError as error:  # bzip2's word for a broken file
            raise EOFError(str(error)) from None
        self._total += len(self._ready)
        if self._total > max(FREE_BYTES, MOST_GROWTH * self._size):
            raise grown_error(self._path, self._size, self._total)
        return True

    def close(self) -> None:
        self._file.close()
        super().close()


def grown_error(path: Path, size: int, opened: int) -> DataError:
    """The error for a file that opens to far more than it is."""
    return DataError(
        f"{size:,} bytes open to more than {opened:,}: reading was stopped",
        where=str(path),
        next_step="if it is what it should be, decompress it yourself and name the result",
    )
