"""lm-evaluation-harness: ``samples_TASK_DATE.jsonl``, written by ``--log_samples``."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from residency.errors import DataError
from residency.evaluate.imported_logs.logged_items import (
    ImportedLog,
    ItemKey,
    hash_value,
    read_number,
)
from residency.files.records import read_records

_NAME = re.compile(r"samples_(?P<task>.+?)_(?P<date>\d{4}-\d\d-\d\dT[\d.:-]+)\.jsonl(\.\w+)?$")
_OWN_KEYS = {
    "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics",
    "doc_hash", "prompt_hash", "target_hash",
}  # fmt: skip


def find_sample_files(folder: Path) -> dict[str, Path]:
    """The newest file of each task in a folder of results.

    Raises:
        DataError: none is there, or those of several models.
    """
    files: dict[str, tuple[str, Path]] = {}
    for path in sorted(folder.rglob("samples_*.jsonl*")):
        if (match := _NAME.match(path.name)) and match["date"] >= files.get(match["task"], ("",))[
            0
        ]:
            files[match["task"]] = match["date"], path
    if not files:
        raise DataError(
            "no samples_TASK_DATE.jsonl in this folder",
            where=str(folder),
            next_step="run lm_eval with --log_samples --output_path FOLDER",
        )
    folders = sorted({str(path.parent) for _, path in files.values()})
    if len(folders) > 1:
        raise DataError(
            f"samples of several models: {', '.join(folders[:4])}",
            where=str(folder),
            next_step="name one of these folders",
        )
    return {task: path for task, (_, path) in sorted(files.items())}


def read_lm_eval(paths: Mapping[str, Path] | Path) -> ImportedLog:
    """One file, or the files of several tasks. A file of another name tells no task: it has none.

    Raises:
        DataError: a line is no sample, or the file is cut off; with its line.
    """
    if isinstance(paths, Path):
        match = _NAME.match(paths.name)
        source = paths.parent.name if match else paths.name
        paths = {match["task"] if match else "": paths}
    else:
        source = next(iter(paths.values())).parent.name
    log = ImportedLog(f"lm-eval {source}".strip())
    for task, path in paths.items():
        documents = _read_task(log, task, path)
        expected = _read_expected_count(task, path)
        if documents < expected:
            log.incomplete = (
                f"{task}: {documents} of the {expected} documents that its results count"
            )
    return log


def _read_expected_count(task: str, path: Path) -> int:
    """How many documents the results beside a file of samples say were asked; 0 where nothing says so."""
    match = _NAME.match(path.name)
    results = path.with_name(f"results_{match['date']}.json") if match else None
    try:
        body = json.loads(results.read_bytes()) if results is not None else {}
        return int(body["n-samples"][task]["effective"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return 0


def _read_task(log: ImportedLog, task: str, path: Path) -> int:
    """Add a file's samples; how many documents it has."""
    counts: dict[tuple[str, str], int] = {}
    for record in read_records(path, "jsonl"):
        where = f"{path}:{record.line}"
        row = record.values
        if row is None:
            raise DataError(record.error, where=where, next_step="copy or write the file again")
        if "doc_id" not in row or not isinstance(row.get("metrics", []), list):
            raise DataError("no sample of lm-eval: doc_id is missing", where=where)
        chosen_filter = str(row.get("filter") or "none")
        document = str(row.get("doc_hash") or hash_value(row.get("doc")))
        # The same document may stand in a task twice: the copies are numbered.
        copy = counts.get((document, chosen_filter), 0)
        counts[document, chosen_filter] = copy + 1
        suffix = "" if chosen_filter == "none" else f",{chosen_filter}"
        scores = {f"{metric}{suffix}": value for metric, value in _read_scores(log, row)}
        key = ItemKey(task, f"{document}#{copy}" if copy else document)
        prompt = hash_value(_read_prompt(row.get("arguments")) or row.get("prompt_hash"))
        target = str(row.get("target_hash") or hash_value(row.get("target")))
        if not log.add(key, prompt, target, f"doc_id {row['doc_id']}", scores):
            raise DataError(
                f"doc_id {row['doc_id']} was asked with another prompt in the same file",
                where=where,
            )
    by_filter: Counter[str] = Counter()
    for (_, chosen_filter), count in counts.items():
        by_filter[chosen_filter] += count
    return max(by_filter.values(), default=0)


def _read_scores(log: ImportedLog, row: Mapping[str, Any]) -> list[tuple[str, float | None]]:
    names = row.get("metrics") or [key for key in row if key not in _OWN_KEYS]
    scores = []
    for name in map(str, names):
        value = row.get(name)
        if name == "bypass":
            continue
        if value is not None and not isinstance(value, bool | int | float):
            log.left_out[name] = "it has no single figure an item"
            continue
        scores.append((name, read_number(value)))
    return scores


def _read_prompt(arguments: Any) -> list[Any]:
    """The texts that were given to the model, without settings of the generation."""
    rows = list(arguments.values()) if isinstance(arguments, Mapping) else arguments
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        return []
    texts = []
    for row in rows:
        values = list(row.values()) if isinstance(row, Mapping) else row
        if isinstance(values, Sequence) and not isinstance(values, str):
            texts.append([v for v in values if isinstance(v, str)])
    return texts
