"""Sources → examples and rejects.

A source is a file, a folder, a glob, ``sqlite:///FILE?query=…``, ``postgresql://…?query=…`` or
``hf://datasets/…``. Every row becomes an example or a reject with file, line, field and reason.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from residency.config.data import DataConfig
from residency.data.reading.conversations import RowError
from residency.data.reading.find_layout import RowMapping, find_mapping
from residency.data.reading.map_rows import Mapped, map_row
from residency.data.reading.sources import Source, find_sources
from residency.errors import DataError
from residency.files.atomic_write import write_json_lines
from residency.files.content_hash import hash_file
from residency.files.record import Record
from residency.nouns.example import Example, Split

PROBE_ROWS = 200
"""Rows from whose fields the layout of a file is found."""


@dataclass(frozen=True)
class Reject:
    """A row that cannot be used: where it stands, and why."""

    file: str
    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}"
        return (
            f'{place} field "{self.field}": {self.reason}'
            if self.field
            else (f"{place}: {self.reason}")
        )

    def to_dict(self) -> dict[str, str | int]:
        """JSON-able."""
        return {"file": self.file, "line": self.line, "field": self.field, "reason": self.reason}


@dataclass(frozen=True)
class FileRead:
    """One source as it was read.

    ``hash`` is of the bytes on disk (empty for a query or a hub path, which have none here).
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


@dataclass(frozen=True)
class ReadResult:
    """Everything that was found in some sources, in their order."""

    examples: list[Example] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    files: list[FileRead] = field(default_factory=list)

    @property
    def format(self) -> str:
        """The layouts found, in words."""
        return ", ".join(dict.fromkeys(f.layout for f in self.files))

    @property
    def mapping(self) -> str:
        """How the columns were read, in words."""
        return "; ".join(dict.fromkeys(f.mapping for f in self.files))


def read(
    paths: Sequence[str],
    config: DataConfig,
    split: Split,
    root: Path,
    *,
    strict: bool = False,
    answers: bool | None = None,
) -> ReadResult:
    """Every row of some sources as examples of ``split``.

    Args:
        paths: sources, relative to ``root``.
        strict: stop at the first row that cannot be used.
        answers: whether a row without an answer is refused; by default it is, but for dev and
            test rows, which may be scored without a reference.

    Raises:
        DataError: a source is missing, is empty or cannot be read as a whole; or, when
            ``strict``, the first bad row.
    """
    need = split in ("train", "pool") if answers is None else answers
    result = ReadResult()
    for source in find_sources(paths, root):
        rows = SourceReader(source, config, split, need=need)
        for item in rows:
            if isinstance(item, Example):
                result.examples.append(item)
            elif strict:
                raise DataError(
                    item.reason,
                    where=f'{item.file}:{item.line} field "{item.field}"'
                    if item.field
                    else f"{item.file}:{item.line}",
                    next_step="correct the row, or run without --strict to leave it out",
                )
            else:
                result.rejects.append(item)
        result.files.append(rows.summary())
    return result


@dataclass(frozen=True)
class RowReader:
    """Reads one record of a source whose layout is known. Can be sent to another process.

    ``mapping`` is None when no record of the source could be read; ``need`` says whether a row
    without an answer is refused.
    """

    name: str
    config: DataConfig
    split: Split
    need: bool
    mapping: RowMapping | None

    def read(self, record: Record) -> Example | Reject:
        """The record as an example, or why it is none."""
        if record.values is None or self.mapping is None:
            return Reject(self.name, record.line, record.field, record.error)
        try:
            mapped = map_row(record.values, self.mapping, instruction=self.config.instruction)
            self._check_answer(mapped)
        except RowError as error:
            return Reject(self.name, record.line, error.field, error.reason)
        except (KeyError, TypeError, AttributeError) as error:
            return Reject(self.name, record.line, "", f"does not fit {self.mapping}: {error}")
        tags = mapped.tags + tuple(
            f"{column}={record.values[column]}"
            for column in self.config.tags
            if record.values.get(column) not in (None, "")
        )
        return Example(
            messages=mapped.messages,
            split=self.split,
            group=mapped.group,
            tags=tuple(dict.fromkeys(tags)),
            source=f"{self.name}:{record.line}",
            weight=mapped.weight,
            rejected=mapped.rejected,
        )

    def _check_answer(self, mapped: Mapped) -> None:
        last = mapped.messages[-1]
        if last.role == "assistant" and (last.content.strip() or last.tool_calls):
            return
        if not self.need and last.role != "assistant":
            return
        columns = self.mapping.columns if self.mapping else {}
        raise RowError(
            "no answer to train on (empty or missing)"
            if self.need
            else "the last assistant message is empty",
            columns.get("response") or columns.get("messages") or columns.get("conversations", ""),
        )


class SourceReader:
    """Streams one source: each row as an ``Example`` or a ``Reject``, in order; or its records
    in blocks, for others to read.

    Args:
        need: whether a row without an answer is refused; None: only where other rows have one.
    """

    def __init__(
        self, source: Source, config: DataConfig, split: Split, *, need: bool | None
    ) -> None:
        self._source, self._config, self._split, self._need = source, config, split, need
        self._rows: RowReader | None = None
        self.rows = self.rejected = 0
        """Counted by iteration; whoever takes ``blocks`` counts for itself."""
        self._unused: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Example | Reject]:
        for reader, records in self.blocks(PROBE_ROWS):
            for record in records:
                self.rows += 1
                item = reader.read(record)
                self.rejected += isinstance(item, Reject)
                yield item

    def blocks(self, size: int) -> Iterator[tuple[RowReader, list[Record]]]:
        """The records, ``size`` at a time, with what reads them.

        Raises:
            DataError: the source is empty, or its layout is not known.
        """
        records = iter(self._source.records())
        probe = list(itertools.islice(records, PROBE_ROWS))
        if not probe:
            raise DataError("no rows in it", where=self._source.name)
        reader = self._rows = self._find_reader(probe)
        whole = itertools.chain(probe, records)
        while block := list(itertools.islice(whole, size)):
            yield reader, block

    def _find_reader(self, probe: Sequence[Record]) -> RowReader:
        values = [r.values for r in probe if r.values is not None]
        mapping = None
        need = self._need
        if values:
            mapping = find_mapping(
                values,
                layout=self._config.format,
                columns=self._config.columns,
                where=self._source.name,
            )
            if need is None:
                asks = mapping.layout in ("alpaca", "prompt", "question")
                answers = "response" in mapping.columns or any("instances" in v for v in values)
                need = answers or not asks
            used = {*mapping.columns.values(), *self._config.tags}
            self._unused = tuple(dict.fromkeys(str(k) for v in values for k in v if k not in used))
        return RowReader(self._source.name, self._config, self._split, bool(need), mapping)

    def summary(self) -> FileRead:
        """How it was read; complete after iteration."""
        mapping, source = self._rows.mapping if self._rows else None, self._source
        local = source.path is not None and source.path.is_file()
        return FileRead(
            path=source.name,
            kind=source.kind,
            split=self._split,
            mapping=str(mapping) if mapping else "",
            layout=mapping.layout if mapping else "",
            rows=self.rows,
            rejected=self.rejected,
            bytes=source.path.stat().st_size if local and source.path else 0,
            hash=hash_file(source.path) if local and source.path else "",
            unused=self._unused,
        )


def write_rejects(rejects: Iterable[Reject], path: Path) -> None:
    """The rejects as JSONL, beside a result."""
    write_json_lines(path, (reject.to_dict() for reject in rejects))


def with_split(example: Example, split: Split, group: str | None = None) -> Example:
    """The same row in another split (its id stays)."""
    return replace(example, split=split, group=example.group if group is None else group)
