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

_PIECE = 1 << 13
"""Compressed bytes given at a time: zstandard makes up to 256 MB of these at worst."""
_MEMORY = 1 << 28
"""Bytes that an xz file may ask for."""
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstandard", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}


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
    kind = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")
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


class _Decompressed(io.RawIOBase):
    """Decompressed bytes of all frames, one after the other; a cut file raises ``EOFError``."""

    def __init__(self, path: Path, kind: str) -> None:
        self._path, self._size = path, path.stat().st_size
        self._file = path.open("rb")
        starts: dict[str, Callable[[], Any]] = {
            "gzip": lambda: zlib.decompressobj(wbits=31),
            "zstandard": lambda: zstandard.ZstdDecompressor(
                max_window_size=1 << 31
            ).decompressobj(),
            "bzip2": bz2.BZ2Decompressor,
            "xz": lambda: lzma.LZMADecompressor(memlimit=_MEMORY),
        }
        self._start = starts[kind]
        self._frame: Any = self._start()
        self._ready, self._total = b"", 0

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        while not self._ready:
            if self._frame.eof:
                data = self._frame.unused_data or self._file.read(_PIECE)
                if not data.strip(b"\0"):  # padding after the last frame
                    if data and (data := self._file.read(_PIECE)).strip(b"\0"):
                        raise EOFError("something else stands after the last frame")
                    return 0
                self._frame = self._start()
            else:
                data = self._file.read(_PIECE)
                if not data:
                    raise EOFError("the last frame does not end")
            try:
                self._ready = self._frame.decompress(data)
            except OSError as error:  # bzip2's word for a broken file
                raise EOFError(str(error)) from None
            self._count()
        size = min(len(target), len(self._ready))
        target[:size], self._ready = self._ready[:size], self._ready[size:]
        return size

    def _count(self) -> None:
        self._total += len(self._ready)
        if self._total > max(FREE_BYTES, MOST_GROWTH * self._size):
            raise grown_error(self._path, self._size, self._total)

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
