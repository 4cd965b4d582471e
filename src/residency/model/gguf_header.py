"""The header of a GGUF file, looked at before anything else reads the file.

Its counts, lengths and offsets are claims of whoever wrote it. Readers in C end the process where they
do not hold, and those in Python make an object of every element.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from residency.errors import ModelError

MOST_PAIRS, MOST_TENSORS = 4096, 65_536
MOST_ELEMENTS = 4 << 20
"""Elements of all lists; the largest vocabularies have 256 000 pieces, each with a score and a type."""
MOST_TEXT = 64 << 20
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value by its type; 8 is text and 9 a list."""


def check_gguf_header(path: Path) -> None:
    """Nothing where the header's claims hold.

    Raises:
        ModelError: they do not, or it is no GGUF file.
    """
    try:
        with path.open("rb") as handle:
            problem = _Header(handle, path.stat().st_size).find_problem()
    except FileNotFoundError:
        raise ModelError("no such file", where=str(path)) from None
    except (OSError, EOFError) as error:
        problem = str(error)
    if problem:
        raise ModelError(
            f"not a readable GGUF file ({problem})",
            where=str(path),
            next_step="fetch the file again; it may be cut in half",
        )


class _Header:
    """Reads on in a header; every method raises ``EOFError`` where the file ends too early."""

    def __init__(self, handle: BinaryIO, size: int) -> None:
        self._handle, self._size, self._elements = handle, size, 0
        self._order = "<"

    def find_problem(self) -> str:
        """What does not hold; empty where all does."""
        if self._handle.read(4) != b"GGUF":
            return "it does not begin as one"
        (version,) = struct.unpack("<I", self._take(4))
        if version & 0xFFFF == 0:  # written by a machine of the other byte order
            self._order = ">"
            version = int.from_bytes(struct.pack("<I", version), "big")
        if version not in (2, 3):
            return f"version {version}"
        tensors, pairs = self._number(), self._number()
        if tensors > MOST_TENSORS or pairs > MOST_PAIRS:
            return f"it claims {tensors:,} tensors and {pairs:,} settings"
        names: set[bytes] = set()
        alignment = 32
        for _ in range(pairs):
            name = self._text()
            if not name or name in names:
                return f"a setting stands twice or has no name: {name[:80]!r}"
            names.add(name)
            value = self._value(self._small())
            if name == b"general.alignment" and value:
                alignment = value
            if name.endswith(b".block_count") and value > tensors:
                return f"it claims {value:,} layers and has {tensors:,} tensors"
        return self._find_tensor_problem(tensors, alignment)

    def _find_tensor_problem(self, count: int, alignment: int) -> str:
        import gguf

        if alignment % 8:
            return f"alignment {alignment}"
        places: list[tuple[int, int, str]] = []
        names: set[bytes] = set()
        for _ in range(count):
            raw, dimensions = self._text(), self._small()
            name = raw.decode(errors="replace")[:80]
            if not raw or raw in names:
                return f"a tensor stands twice or has no name: {name!r}"
            names.add(raw)
            if not 1 <= dimensions <= 4:
                return f"tensor {name!r} has {dimensions} dimensions"
            elements = 1
            for _ in range(dimensions):
                elements *= self._number()
            kind, start = self._small(), self._number()
            try:
                block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind)]
            except (ValueError, KeyError):
                return f"tensor {name!r} is of the unknown type {kind}"
            if elements % block or start % alignment:
                return f"tensor {name!r} does not fit its type or place"
            places.append((start, elements // block * size, name))
        begin = -(-self._handle.tell() // alignment) * alignment
        end = 0
        for start, size, name in sorted(places):
            if start < end:
                return f"tensor {name!r} lies upon another"
            end = start + size
            if begin + end > self._size:
                return f"tensor {name!r} reaches beyond the file's end: it was cut, or never whole"
        return ""

    def _value(self, kind: int, depth: int = 0) -> int:
        """Pass over a value; gives one of 4 bytes."""
        if kind == 8:
            self._text()
        elif kind == 9:
            inner, count = self._small(), self._number()
            self._elements += count
            if depth or self._elements > MOST_ELEMENTS:
                raise EOFError(f"a list within a list, or {self._elements:,} elements of lists")
            if inner in _SIZES:
                self._take(_SIZES[inner] * count)
            else:
                for _ in range(count):
                    self._value(inner, depth + 1)
        elif kind not in _SIZES:
            raise EOFError(f"a setting of the unknown type {kind}")
        else:
            taken = self._take(_SIZES[kind])
            return int(struct.unpack(f"{self._order}I", taken)[0]) if len(taken) == 4 else 0
        return 0

    def _text(self) -> bytes:
        length = self._number()
        if length > MOST_TEXT:
            raise EOFError(f"a text of {length:,} bytes")
        return self._take(length)

    def _number(self) -> int:
        return int(struct.unpack(f"{self._order}Q", self._take(8))[0])

    def _small(self) -> int:
        return int(struct.unpack(f"{self._order}I", self._take(4))[0])

    def _take(self, size: int) -> bytes:
        if size > self._size - self._handle.tell():
            raise EOFError("it ends within its header")
        return self._handle.read(size)
