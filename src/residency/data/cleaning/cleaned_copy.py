"""A cleaned copy of the data: a new dataset version, and a list of every row left out, with why.

The sources are read a second time and never written to. What is left out of train and pool is
what ``cleaning`` decides, what cannot be trained on, what comes near a benchmark, and rows with
traces that a model learns at once (``DROPPED``). Of dev and test only duplicates are left out.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from residency.data.checks.figures import Flags
from residency.data.checks.pass_totals import TRAINING
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
from residency.files.atomic_write import draft_name, publish_folder
from residency.nouns.example import SPLITS, Example

DROPPED = ("refusals", "repetitive", "template_marks", "placeholders", "mojibake", "secrets")
_BATCH = 2000


@dataclass(frozen=True)
class CleanedCopy:
    """A cleaned version: its folder, rows kept by split, and rows left out by reason."""

    version: str
    folder: Path
    kept: dict[str, int]
    dropped: dict[str, int]


def write_cleaned_copy(
    survey: Survey, out: Path, *, leaks: Mapping[int, str] | None = None
) -> CleanedCopy:
    """Write ``out/<version id>/`` with one JSONL a split, ``dropped.jsonl``, Parquet and manifest.

    Args:
        leaks: row number → benchmark that it comes near.
    """
    reasons = _list_reasons(survey, leaks or {})
    draft = draft_name(out / "version")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    ids: list[str] = []
    kept: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    files = {s: (draft / f"{s}.jsonl").open("w", encoding="utf-8") for s in SPLITS}
    batch: list[Example] = []
    numbers = count()
    try:
        with (
            (draft / "dropped.jsonl").open("w", encoding="utf-8") as losses,
            pq.ParquetWriter(draft / ROWS, SCHEMA, compression="zstd") as table,
        ):
            for item in survey.again():
                if isinstance(item, Reject):
                    losses.write(_json_line({"kind": "rejected", **item.to_dict()}))
                    continue
                number = next(numbers)
                row = replace(item, split=survey.split(number))
                if number in reasons:
                    kind, reason = reasons[number]
                    dropped[kind] += 1
                    body = {
                        "source": row.source,
                        "split": row.split,
                        "kind": kind,
                        "reason": reason,
                    }
                    losses.write(_json_line(body | to_record(row)))
                    continue
                kept[row.split] += 1
                ids.append(row.id)
                files[row.split].write(_json_line(to_record(row)))
                batch.append(row)
                if len(batch) == _BATCH:
                    table.write_table(rows_table(batch))
                    batch.clear()
            if batch:
                table.write_table(rows_table(batch))
    finally:
        for handle in files.values():
            handle.close()
    for split, handle in files.items():
        if not kept[split]:
            Path(handle.name).unlink()
    dropped["rejected"] += survey.findings.rejected
    settings = {
        "near_duplicate": survey.config.data.near_duplicate,
        "truncation": survey.config.data.truncation,
        "max_length": survey.config.model.max_length,
        "dropped": list(DROPPED),
    }
    version = replace(
        make_version([], survey.chat, settings, note="residency check --fix"), rows=tuple(ids)
    )
    (draft / MANIFEST).write_text(manifest_text(version), encoding="utf-8")
    folder = out / version.id
    if folder.exists():  # the same content is there already
        shutil.rmtree(draft)
    else:
        publish_folder(draft, folder)
    return CleanedCopy(version.id, folder, dict(kept), {k: n for k, n in dropped.items() if n})


def _list_reasons(survey: Survey, leaks: Mapping[int, str]) -> dict[int, tuple[str, str]]:
    """Row number → kind and reason, for every row that is left out."""
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
        for row in flags.rows:
            if survey.split(row) in TRAINING:
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
