"""Compressed responses: no more is unpacked than is read."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import httpx

ACCEPTED = "gzip"
"""The one encoding that is asked for: it can be unpacked a piece at a time."""
_PIECE = 1 << 20


def iterate_plain_bytes(response: httpx.Response, longest: int) -> Iterator[bytes]:
    """The body of an open response, unpacked in pieces of at most 1 MiB.

    httpx unpacks all that has arrived at once, and encodings within encodings: some hundred bytes
    then fill gigabytes before any length is looked at.

    Args:
        longest: bytes after which nothing more is unpacked; the piece that goes beyond is given.

    Raises:
        httpx.DecodingError: the body is not what its header says, or in an encoding that nobody
            asked for.
    """
    if response.is_stream_consumed:  # it was read before, and unpacked then
        yield response.content
        return
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        yield from response.iter_raw()
        return
    if encoding not in ("gzip", "x-gzip"):
        raise httpx.DecodingError(f"the answer is encoded as {encoding[:40]!r}, not as {ACCEPTED}")
    unpacking = zlib.decompressobj(wbits=31)
    size = 0
    try:
        for packed in response.iter_raw():
            while packed and not unpacking.eof:
                part = unpacking.decompress(packed, _PIECE)
                packed = unpacking.unconsumed_tail
                size += len(part)
                yield part
                if size > longest:
                    return
        yield unpacking.flush()
    except zlib.error as error:
        raise httpx.DecodingError(f"the answer is no {ACCEPTED} ({error})") from None
