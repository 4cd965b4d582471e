"""A cleaned copy of the data: a new dataset version, and a list of every row left out, with why.

The sources are read a second time and never written to. What is left out of train and pool is
what ``cleaning`` decides, what cannot be trained on, what comes near a benchmark, and rows with
traces that a model learns at once (``DROPPED``). Of dev and test only duplicates are left out.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from residency.data.checks.figures import Flags
from residency.data.checks.survey import Survey
from residency.data.dataset_versions import (
    MANIFEST,
    ROWS,
    SCHEMA,
    make_version,
    manifest_text,
    rows_table,
)
from residency.data.reading.row_reader import Reject
from residency.data.reading.sources import DROPPED_FILE
from residency.files.atomic_write import draft_name, publish_folder
from residency.nouns.example import SPLITS, TRAINABLE_SPLITS, Example

DROPPED = ("refusals", "repetitive", "template_marks", "placeholders", "mojibake", "secrets")
"""Kinds of rows that a run would train on and that a cleaned copy leaves out; each may be kept."""
_BATCH = 2000


@dataclass(frozen=True)
class CleanedCopy:
    """A cleaned version: its folder, remaining rows by split, and rows left out by reason."""

    version: str
    folder: Path
    kept: dict[str, int]
    dropped: dict[str, int]


def write_cleaned_copy(
    survey: Survey,
    out: Path,
    *,
    leaks: Mapping[int, str] | None = None,
    keep: Collection[str] = (),
) -> CleanedCopy:
    """Write ``out/<version id>/`` with one JSONL a split, ``dropped.jsonl``, Parquet and manifest.

    Args:
        leaks: row number → benchmark that it comes near. keep: kinds of ``DROPPED`` that stay.
    """
    reasons = list_reasons(survey, leaks or {}, keep)
    draft = draft_name(out / "version")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    with _DraftFiles(draft) as files:
        numbers = count()
        for item in survey.again():
            if isinstance(item, Reject):
                files.write_reject(item)
                continue
            number = next(numbers)
            row = replace(item, split=survey.split(number))
            if number in reasons:
                files.write_dropped(row, *reasons[number])
            else:
                files.write_row(row)
    files.dropped["rejected"] += survey.findings.rejected
    settings = {
        "near_duplicate": survey.config.data.near_duplicate,
        "truncation": survey.config.data.truncation,
        "max_length": survey.config.model.max_length,
        "dropped": [kind for kind in DROPPED if kind not in keep],
    }
    version = replace(
        make_version([], survey.chat, settings, note="residency check --fix"),
        rows=tuple(files.ids),
    )
    (draft / MANIFEST).write_text(manifest_text(version), encoding="utf-8")
    folder = out / version.id
    if folder.exists():  # the same content is there already
        shutil.rmtree(draft)
    else:
        publish_folder(draft, folder)
    dropped = {kind: rows for kind, rows in files.dropped.items() if rows}
    return CleanedCopy(version.id, folder, dict(files.rows), dropped)


class _DraftFiles:
    """The files of a version while they are written: a JSONL a split, ``dropped.jsonl``, Parquet.

    ``ids``: of the rows that stay, in order. ``rows``: their number by split. ``dropped``: rows
    left out, by kind.
    """

    def __init__(self, draft: Path) -> None:
        self.ids: list[str] = []
        self.rows: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self._batch: list[Example] = []
        with ExitStack() as opened:
            self._splits = {
                split: opened.enter_context((draft / f"{split}.jsonl").open("w", encoding="utf-8"))
                for split in SPLITS
            }
            self._losses = opened.enter_context((draft / DROPPED_FILE).open("w", encoding="utf-8"))
            self._table = opened.enter_context(
                pq.ParquetWriter(draft / ROWS, SCHEMA, compression="zstd")
            )
            self._open_files = opened.pop_all()

    def __enter__(self) -> _DraftFiles:
        return self

    def __exit__(self, *failure: Any) -> None:
        """Everything is on the disk; files of splits without a row are gone."""
        try:
            if self._batch and failure[0] is None:
                self._table.write_table(rows_table(self._batch))
        finally:
            self._open_files.close()
        for split, handle in self._splits.items():
            if not self.rows[split]:
                Path(handle.name).unlink()

    def write_reject(self, reject: Reject) -> None:
        """A row that could not be read."""
        self._losses.write(_json_line({"kind": "rejected", **reject.to_dict()}))

    def write_dropped(self, row: Example, kind: str, reason: str) -> None:
        """A row that is left out, and why."""
        self.dropped[kind] += 1
        why = {"source": row.source, "split": row.split, "kind": kind, "reason": reason}
        self._losses.write(_json_line(why | to_record(row)))

    def write_row(self, row: Example) -> None:
        """A row that stays."""
        self.rows[row.split] += 1
        self.ids.append(row.id)
        self._splits[row.split].write(_json_line(to_record(row)))
        self._batch.append(row)
        if len(self._batch) == _BATCH:
            self._table.write_table(rows_table(self._batch))
            self._batch.clear()


def list_reasons(
    survey: Survey, leaks: Mapping[int, str], keep: Collection[str] = ()
) -> dict[int, tuple[str, str]]:
    """Row number → kind and reason, for every row that is left out; ``keep``: kinds that stay."""
    out: dict[int, tuple[str, str]] = {}
    for number, drop in enumerate(survey.decision.drops):
        out[drop.row] = drop.kind, survey.removal(number)["reason"]
    for row, benchmark in leaks.items():
        out.setdefault(row, ("contamination", f"comes near an item of {benchmark}"))
    flagged: dict[str, Flags] = {
        "cannot be trained on": survey.findings.untrainable,
        "refusals": survey.findings.answers.refusals,
        "repetitive": survey.findings.answers.repetitive,
        "template_marks": survey.findings.artefacts.template,
        "placeholders": survey.findings.artefacts.placeholder,
        "mojibake": survey.findings.artefacts.mojibake,
        "secrets": survey.findings.private.secrets,
    }
    for kind, flags in flagged.items():
        if kind in keep:
            continue
        for row in flags.rows:
            if survey.split(row) in TRAINABLE_SPLITS:
                out.setdefault(row, (kind, kind.replace("_", " ")))
    return out


def to_record(example: Example) -> dict[str, Any]:
    """A row in the messages layout, such that reading it gives the same example again."""
    messages = [m.to_dict() for m in example.messages]
    out: dict[str, Any] = {"messages": messages}
    if example.rejected is not None:
        out = {"messages": messages[:-1], "chosen": [messages[-1]], "rejected": example.rejected}
    if example.tags:
        out["tags"] = list(example.tags)
    if example.group:
        out["group"] = example.group
    if example.weight != 1.0:
        out["weight"] = example.weight
    return out


def _json_line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
