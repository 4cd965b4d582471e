"""A file as it would be read: its columns, the layout, and the first rows; told before anything is made."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from residency.config.data import DataConfig
from residency.data.reading.find_layout import find_mapping
from residency.data.reading.layouts.layout import COLUMNS
from residency.data.reading.row_reader import RowReader
from residency.data.reading.source_reader import PROBE_ROWS
from residency.data.reading.sources import find_sources
from residency.data.reading.text_pieces import divide_pieces
from residency.errors import DataError
from residency.nouns.example import Example

SHOWN_ROWS = 3
FIELDS = tuple(COLUMNS)
"""What a column can be."""


@dataclass(frozen=True)
class FilePreview:
    """How a file would be read.

    Attributes:
        path: of the file. columns: the names in its first rows. mapping: field → column.
        layout: its name; empty where none fits (``problem`` says why).
        examples: the first rows as conversations. refused: why others of the first rows are none.
    """

    path: str
    columns: tuple[str, ...]
    mapping: Mapping[str, str]
    layout: str
    examples: list[Example]
    refused: list[str]
    problem: str = ""


def preview_file(path: Path, columns: Mapping[str, str], *, split_at: str = "") -> FilePreview:
    """The first rows of a file under a mapping of the user's.

    Args:
        columns: the user's column names by field; empty: they are recognised.

    Raises:
        DataError: there is no such file, or it cannot be read at all.
    """
    if not path.exists():
        raise DataError("there is no such file", where=str(path), next_step="give its whole path")
    source = find_sources([str(path.resolve())], path.parent)[0]
    records = list(itertools.islice(iter(source.records()), PROBE_ROWS))
    values = [record.values for record in records if record.values is not None]
    names = tuple(dict.fromkeys(str(key) for row in values for key in row))
    config = DataConfig(columns=dict(columns), split_at=split_at)
    try:
        mapping = find_mapping(
            values,
            columns=config.columns,
            where=source.name,
            raw_text=bool(split_at) or source.kind == "text",
        )
    except DataError as error:
        return FilePreview(str(path), names, dict(columns), "", [], [], error.what)
    reader = RowReader(source.name, config, "train", need_answer=True, mapping=mapping)
    examples: list[Example] = []
    refused: list[str] = []
    rows = mapping.layout.join_records(iter(records))
    if source.kind == "text" and split_at.startswith("\n"):
        rows = divide_pieces(rows, split_at)
    for record in rows:
        item, _ = reader.read_record(record)
        if isinstance(item, Example):
            examples.append(item)
        else:
            refused.append(str(item))
    return FilePreview(
        path=str(path),
        columns=names,
        mapping=dict(mapping.columns),
        layout=mapping.layout.name,
        examples=examples[:SHOWN_ROWS],
        refused=refused[:SHOWN_ROWS],
    )
