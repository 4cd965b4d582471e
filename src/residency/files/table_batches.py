"""Batches of rows of Parquet and Arrow files, as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def open_batches(path: Path, kind: str, rows: int) -> Iterator[Any]:
    """The file's batches, of at most ``rows`` rows. No memory map: a file that is cut while it is
    read ends in an error, not in a signal."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if kind == "parquet":
        with pq.ParquetFile(path, memory_map=False) as table:
            yield from table.iter_batches(batch_size=rows)
        return
    with pa.OSFile(str(path), "rb") as source:
        for batch in _arrow_batches(source):
            for first in range(0, batch.num_rows, rows):
                yield batch.slice(first, rows)


def _arrow_batches(source: Any) -> Iterator[Any]:
    import pyarrow as pa

    try:
        reader = pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        yield from pa.ipc.open_stream(source)
        return
    for index in range(reader.num_record_batches):
        yield reader.get_batch(index)
