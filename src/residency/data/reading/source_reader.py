"""Sources → examples and rejects.

A source is a file, a folder, a glob, ``sqlite:///FILE?query=…``, ``postgresql://…?query=…`` or
``hf://datasets/…``. Every row becomes an example or a reject with file, line, field and reason.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from residency.config.data import DataConfig
from residency.data.reading.clean_text import clean_label
from residency.data.reading.column_paths import find_root
from residency.data.reading.find_layout import RowMapping, find_mapping
from residency.data.reading.layouts.layout import RowFields
from residency.data.reading.learn_marks import find_mark_lists, find_row_marks
from residency.data.reading.named_splits import find_split_sources
from residency.data.reading.ratings import check_rating_columns, describe_ratings
from residency.data.reading.row_reader import Reject, RowReader
from residency.data.reading.sources import Source
from residency.data.reading.text_pieces import (
    divide_dialogue_lines,
    divide_pieces,
    holds_dialogue_lines,
)
from residency.data.reading.turn_marks import find_turn_marks, list_turn_keys
from residency.data.reading.unread_columns import describe_unread
from residency.errors import DataError
from residency.files.content_hash import hash_file
from residency.files.record import Record
from residency.interfaces import Progress, ProgressEvent, no_progress
from residency.nouns.example import TRAINABLE_SPLITS, Example, Split

PROBE_ROWS = 200
"""Rows from whose fields the layout of a file is recognised."""
_TELL_EVERY = 1000
"""Rows between two words of progress."""


@dataclass(frozen=True)
class FileRead:
    """One source as it was read.

    ``hash`` is of the bytes on disk (empty for a query or a hub path, which have none here).
    ``unused`` names columns, and keys within messages, that were not read; ``changed`` counts rows
    of which a part was left out, by what it was; ``ratings`` tells of unused columns that rate rows.
    """

    path: str
    kind: str
    split: Split
    mapping: str
    layout: str
    rows: int
    rejected: int
    bytes: int = 0
    hash: str = ""
    unused: tuple[str, ...] = ()
    changed: Mapping[str, int] = field(default_factory=dict)
    ratings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReadResult:
    """Everything that was read from some sources, in their order."""

    examples: list[Example] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    files: list[FileRead] = field(default_factory=list)

    @property
    def format(self) -> str:
        """The layouts, in words."""
        return ", ".join(dict.fromkeys(f.layout for f in self.files))

    @property
    def mapping(self) -> str:
        """How the columns were read, in words."""
        return "; ".join(dict.fromkeys(f.mapping for f in self.files))


def read_sources(
    paths: Sequence[str],
    config: DataConfig,
    split: Split,
    root: Path,
    *,
    strict: bool = False,
    need_answer: bool | None = None,
    progress: Progress = no_progress,
) -> ReadResult:
    """Every row of some sources as examples of ``split``.

    Args:
        paths: sources, relative to ``root``.
        strict: stop at the first row that cannot be used.
        need_answer: whether a row without an answer is refused; by default it is, but for dev and
            test rows, which may be scored without a reference.

    Raises:
        DataError: a source is missing, is empty or cannot be read as a whole; or, when
            ``strict``, the first bad row.
    """
    need = split in TRAINABLE_SPLITS if need_answer is None else need_answer
    result = ReadResult()
    for source in find_split_sources(paths, root, split):
        reader = SourceReader(source, config, split, need_answer=need)
        for item in reader:
            if isinstance(item, Example):
                result.examples.append(item)
            elif strict:
                raise stop_at(item)
            else:
                result.rejects.append(item)
            rows = len(result.examples) + len(result.rejects)
            if rows % _TELL_EVERY == 0:
                progress(ProgressEvent(f"read {split}", rows, 0, "rows"))
                check_row_count(rows, config, source.name)
        result.files.append(reader.summarise())
    return result


def check_row_count(rows: int, config: DataConfig, where: str) -> None:
    """Nothing where a split's rows are as many as the settings expect, or fewer.

    Raises:
        DataError: they are more than ``data.most_rows``.
    """
    if rows > config.most_rows:
        raise DataError(
            f"more than {config.most_rows:,} rows (data.most_rows): reading was stopped",
            where=where,
            next_step="if they are wanted, write a larger most_rows under [data] (a row takes about "
            "1 KB of memory); else name a part of the file",
        )


def choose_replay_config(config: DataConfig) -> DataConfig:
    """The settings by which general rows are read: what is said of the task's files does not hold for them.

    ``system`` does: it is about the base's template.
    """
    task = ("format", "columns", "instruction", "split_at", "tags", "least")
    defaults = DataConfig()
    return config.model_copy(update={name: getattr(defaults, name) for name in task})


def stop_at(reject: Reject) -> DataError:
    """The error that ends a strict reading."""
    return DataError(
        reject.reason,
        where=reject.where,
        next_step="correct the row, or run without --strict to leave it out",
    )


class SourceReader:
    """Streams one source: each row as an ``Example`` or a ``Reject``, in order; or its records
    in blocks, for others to read.

    Args:
        need_answer: whether a row without an answer is refused; None: only where others have one.
    """

    def __init__(
        self, source: Source, config: DataConfig, split: Split, *, need_answer: bool | None
    ) -> None:
        self._source, self.split = source, split
        self._config = config if split != "replay" else choose_replay_config(config)
        self._need_answer = need_answer
        self._reader: RowReader | None = None
        self.rows = self.rejected = 0
        """Counted by iteration; whoever takes ``read_blocks`` counts for itself."""
        self.changed: Counter[str] = Counter()
        self._unused: tuple[str, ...] = ()
        self._ratings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How messages speak of the source."""
        return self._source.name

    def __iter__(self) -> Iterator[Example | Reject]:
        for reader, records in self.read_blocks(PROBE_ROWS):
            for record in records:
                self.rows += 1
                item, changes = reader.read_record(record)
                self.rejected += isinstance(item, Reject)
                self.changed.update(changes)
                yield item

    def read_blocks(self, size: int) -> Iterator[tuple[RowReader, list[Record]]]:
        """The records, ``size`` at a time, with what reads them.

        Raises:
            DataError: the source is empty, or its layout is not known.
        """
        records = iter(self._source.records())
        probe = list(itertools.islice(records, PROBE_ROWS))
        if not probe:
            raise DataError(
                "no rows in it", where=self._source.name, next_step="take it out of the list"
            )
        if self._source.kind == "text" and holds_dialogue_lines([r.values or {} for r in probe]):
            records = divide_dialogue_lines(itertools.chain(probe, records))
            probe = list(itertools.islice(records, PROBE_ROWS))
        reader = self._reader = self._find_reader(probe)
        stream = itertools.chain(probe, records)
        if reader.mapping is not None:
            stream = reader.mapping.layout.join_records(stream)  # type: ignore[assignment]
        mark = self._config.split_at
        if self._source.kind == "text" and mark.startswith("\n"):
            stream = divide_pieces(iter(stream), mark)  # type: ignore[assignment]
        while block := list(itertools.islice(stream, size)):
            yield reader, block

    def _find_reader(self, probe: Sequence[Record]) -> RowReader:
        values = [r.values for r in probe if r.values is not None]
        mapping = None
        turn_marks: tuple[str, ...] = ()
        seen: frozenset[str] = frozenset()
        need_answer = self._need_answer
        if values:
            if self.split == "train":
                check_rating_columns(values, self._config.least, self._source.name)
            mapping = find_mapping(
                values,
                layout=self._config.format,
                columns=self._config.columns,
                where=self._source.name,
                raw_text=bool(self._config.split_at) or self._source.kind == "text",
            )
            if need_answer is None:
                answers = "response" in mapping.columns or any("instances" in v for v in values)
                need_answer = answers or not mapping.layout.asks
            unused = _list_unused(values, mapping, self._config)
            turn_marks = find_turn_marks(values, unused)
            if len(probe) == PROBE_ROWS:
                seen = _list_seen(values, mapping)
            self._unused = tuple(name for name in unused if name not in turn_marks)
            self._ratings = (
                *describe_ratings(values, self._unused),
                *describe_unread(values, self._unused),
            )
        return RowReader(
            self._source.name,
            self._config,
            self.split,
            bool(need_answer),
            mapping,
            need_prompt=self.split in ("dev", "test"),
            turn_marks=turn_marks,
            seen=seen,
        )

    def summarise(self) -> FileRead:
        """How it was read; complete after iteration."""
        mapping, source = self._reader.mapping if self._reader else None, self._source
        local = source.path if source.path is not None and source.path.is_file() else None
        return FileRead(
            path=source.name,
            kind=source.kind,
            split=self.split,
            mapping=str(mapping) if mapping else "",
            layout=mapping.layout.name if mapping else "",
            rows=self.rows,
            rejected=self.rejected,
            bytes=local.stat().st_size if local else 0,
            hash=hash_file(local) if local else "",
            unused=self._unused,
            changed=dict(self.changed),
            ratings=self._ratings,
        )


def _list_seen(rows: Sequence[Mapping[str, Any]], mapping: RowMapping) -> frozenset[str]:
    """Columns of the rows, and keys of their turns."""
    columns = tuple(mapping.columns.values())
    keys = (key for row in rows for key in (*row, *list_turn_keys(row, columns)))
    return frozenset(keys)


def _list_unused(
    values: Sequence[Mapping[str, Any]], mapping: RowMapping, config: DataConfig
) -> tuple[str, ...]:
    """Columns that are not read, and keys within messages that are not."""
    named = [*mapping.columns.values(), *config.tags, *config.least]
    used = {*named, *(find_root(row, column) for row in values for column in named)}
    used |= set(mapping.layout.also_reads)
    for row in values:
        used |= {*find_row_marks(row, tuple(used)), *find_mark_lists(row)}
    names = dict.fromkeys(str(key) for row in values for key in row if key not in used)
    if not mapping.columns:  # an export, which the layout reads as a whole
        names = {}
    within: set[str] = set()
    for row in values:
        within |= mapping.layout.unread_keys(RowFields(row, mapping.columns))
    return tuple(clean_label(name) for name in (*names, *sorted(within - set(config.least))))
