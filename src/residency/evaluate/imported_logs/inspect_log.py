"""Inspect: ``.eval`` (a zip with a JSON file a sample) and ``.json`` logs."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from residency.errors import DataError
from residency.evaluate.imported_logs.logged_items import (
    ImportedLog,
    ItemKey,
    hash_value,
    read_number,
)
from residency.files.json_members import read_json_members

_LONGEST_SAMPLE = 1 << 28
"""Bytes of one sample with all its events."""
_GRADES = {"c": 1.0, "i": 0.0, "p": 0.5, "n": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
"""What Inspect takes for a figure: correct, incorrect, partial, no answer, and yes or no."""
_AGAIN = "write it again, or convert it: inspect log convert --to json"


def read_inspect_zip(path: Path) -> ImportedLog:
    """An ``.eval`` file, a sample in memory at a time.

    Raises:
        DataError: it is cut off, compressed in a way that Python cannot read, or no log.
    """
    where = str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}  # the last one counts
            start = next(
                (n for n in ("header.json", "_journal/start.json", "start.json") if n in members),
                "",
            )
            if not start:
                raise DataError("no log of Inspect: header.json is missing", where=where)
            header = _read_member(archive, members[start], where)
            if not isinstance(header, Mapping):
                raise DataError("no log of Inspect: header.json is no object", where=where)
            log, task = _open_log(path, header)
            # The header is written at the end: without one the evaluation was cut off.
            _note_status(log, header.get("status") if start == "header.json" else "started", header)
            names = [n for n in members if n.startswith("samples/") and n.endswith(".json")]
            for name in names:
                _add_sample(
                    log, task, _read_member(archive, members[name], where), f"{where}:{name}"
                )
    except (zipfile.BadZipFile, EOFError, zlib.error, OSError) as error:
        raise DataError(
            f"cannot be read to its end: {error}", where=where, next_step="copy the file again"
        ) from None
    except NotImplementedError as error:
        raise DataError(
            f"compressed in a way that this Python does not read ({error})",
            where=where,
            next_step="inspect log convert --to json --output-dir DIR FILE",
        ) from None
    return _check_log(log, path)


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> Any:
    with archive.open(member) as handle:
        data = handle.read(_LONGEST_SAMPLE + 1)
    if len(data) > _LONGEST_SAMPLE:
        raise DataError(f"more than {_LONGEST_SAMPLE >> 20} MB", where=f"{where}:{member.filename}")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"not valid JSON: {error}", where=f"{where}:{member.filename}", next_step=_AGAIN
        ) from None


def read_inspect_json(path: Path) -> ImportedLog:
    """A ``.json`` log, as a stream: the samples follow the header.

    Raises:
        DataError: it is cut off or no log; with its line.
    """
    log, task = ImportedLog(""), ""
    header: dict[str, Any] = {}
    for path_in_file, line, value in read_json_members(path, [("samples",)]):
        if path_in_file == ("eval",) and isinstance(value, Mapping):
            log, task = _open_log(path, {"eval": value})
        elif path_in_file == ("samples",):
            if not log.label:
                raise DataError("samples come before the header eval", where=f"{path}:{line}")
            _add_sample(log, task, value, f"{path}:{line}")
        elif path_in_file[0] in ("status", "error"):
            header[path_in_file[0]] = value
    if not log.label:
        raise DataError("no log of Inspect: eval is missing", where=str(path))
    _note_status(log, header.get("status"), header)
    return _check_log(log, path)


def _open_log(path: Path, header: Mapping[str, Any]) -> tuple[ImportedLog, str]:
    header_eval = header.get("eval")
    if not isinstance(header_eval, Mapping) or "task" not in header_eval:
        raise DataError("no log of Inspect: eval.task is missing", where=str(path))
    return ImportedLog(f"inspect {path.name}, {header_eval.get('model', 'a model')}"), str(
        header_eval["task"]
    )


def _note_status(log: ImportedLog, status: Any, header: Mapping[str, Any]) -> None:
    """Note that the evaluation did not come to its end, with Inspect's own reason."""
    if status in (None, "success"):
        return
    error = header.get("error")
    message = str(error.get("message", "")) if isinstance(error, Mapping) else ""
    reason = " ".join(message.split())[:200]
    log.incomplete = f"its status is {str(status)[:40]!r}" + (f" ({reason})" if reason else "")


def _check_log(log: ImportedLog, path: Path) -> ImportedLog:
    if not log.items:
        raise DataError(
            "the log has no samples", where=str(path),
            next_step="run inspect eval without --no-log-samples",
        )  # fmt: skip
    return log


def _add_sample(log: ImportedLog, task: str, sample: Any, where: str) -> None:
    if not isinstance(sample, Mapping) or "id" not in sample:
        raise DataError("no sample of Inspect: its id is missing", where=where)
    scores = sample.get("scores") or {}
    if not isinstance(scores, Mapping):
        raise DataError("no sample of Inspect: scores is no object", where=where)
    failed = bool(sample.get("error") or sample.get("invalidation"))
    values: dict[str, float | None] = {}
    for name, score in scores.items():
        for metric, value in _read_score(str(name), score):
            if value == "":
                log.left_out[metric] = "its value is no figure"
            else:
                values[metric] = None if failed else read_number(value)
    known = log.metrics.get(task, [])
    if failed or not scores:
        values = dict.fromkeys([*known, *values]) or {"": None}
    key = ItemKey(task, str(sample["id"]))
    prompt = hash_value(_strip_messages(sample.get("input")))
    if not log.add(key, prompt, hash_value(sample.get("target")), f"id {key.item}", values):
        raise DataError(
            f"id {key.item} was asked with another prompt in the same file", where=where
        )


def _read_score(name: str, score: Any) -> Iterator[tuple[str, float | str | None]]:
    """Metrics with their figures; the empty text where a value is none."""
    value = score.get("value") if isinstance(score, Mapping) else score
    if isinstance(value, Mapping):
        for part, grade in value.items():
            yield f"{name}/{part}", _read_grade(grade)
    elif isinstance(value, list):
        for number, grade in enumerate(value):
            yield f"{name}/{number}", _read_grade(grade)
    else:
        yield name, _read_grade(value)


def _read_grade(value: Any) -> float | str | None:
    if value is None or isinstance(value, bool | int | float):
        return read_number(value)
    if isinstance(value, str):
        if value.lower() in _GRADES:
            return _GRADES[value.lower()]
        if value.lower() in ("nan", ""):
            return None
        try:
            return read_number(float(value))
        except ValueError:
            return ""
    return ""


def _strip_messages(value: Any) -> Any:
    """Role and content of messages, without the ids that every run makes anew."""
    if not isinstance(value, list):
        return value
    return [
        {"role": m.get("role"), "content": _strip_content(m.get("content"))}
        if isinstance(m, Mapping)
        else m
        for m in value
    ]


def _strip_content(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    return [
        {k: v for k, v in part.items() if k in ("type", "text", "image", "audio", "video")}
        if isinstance(part, Mapping)
        else part
        for part in content
    ]
