"""Rows of one benchmark file, in whatever layout it has, brought into the hub's.

Layouts: the hub's (Parquet, JSON or JSON lines), the authors' originals (ARC's and HellaSwag's JSON
lines, MMLU's CSV files, TruthfulQA.csv), instruction-style ARC (``Answer1: … Answer2: …``), and
HellaSwag as six lines of text an item.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from residency.errors import SuiteError
from residency.evaluate.benchmarks.task import Row, Task
from residency.files.check_table import check_table
from residency.files.decompress import DAMAGED, open_bytes
from residency.files.own_lines import split_lines

_MOST_BYTES = 1 << 28
"""Bytes of one file, which is read whole; the largest of the four benchmarks has 48 MB."""


def read_parquet_rows(file: Path | BinaryIO) -> list[Row]:
    """Every row of a Parquet file.

    Raises:
        OSError, ValueError: it cannot be read, or is no Parquet file.
    """
    import pyarrow.parquet as pq

    return list(pq.read_table(file).to_pylist())


def read_rows(path: Path, task: Task) -> list[Row]:
    """Rows of one file, in the hub's layout.

    Raises:
        SuiteError: the file cannot be read, or a row is not of a known layout.
    """
    try:
        raw = _read_records(path, task)
    except (OSError, ValueError, RecursionError, csv.Error, *DAMAGED) as error:
        raise SuiteError(f"cannot be read: {error}", where=str(path)) from None
    convert = _LAYOUTS.get(task.benchmark, dict)
    out: list[Row] = []
    for number, record in enumerate(raw, start=1):
        try:
            row = convert(record)
            task.read(row)
        except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise SuiteError(
                f"not a row of {task.benchmark}: {type(error).__name__} {error}",
                where=f"{path} row {number}",
                next_step="see docs/benchmarks.md for the layouts that are read",
            ) from None
        out.append(row)
    return out


def _read_records(path: Path, task: Task) -> list[Any]:
    if path.suffix == ".parquet":
        check_table(path, "parquet")  # a damaged one can crash its reader
        return read_parquet_rows(path)
    with open_bytes(path) as handle:
        raw = handle.read(_MOST_BYTES + 1)
    if len(raw) > _MOST_BYTES:
        raise ValueError(f"it is larger than {_MOST_BYTES >> 20} MB")
    name = path.stem if path.suffix == ".bz2" else path.name
    text = raw.decode("utf-8-sig")
    if name.endswith(".csv"):
        return _read_csv(text, task)
    if name.endswith(".txt"):
        lines = split_lines(text)
        return [lines[at : at + 6] for at in range(0, len(lines), 6) if any(lines[at : at + 6])]
    if text.lstrip().startswith("["):
        return list(json.loads(text))
    return [json.loads(line) for line in split_lines(text) if line.strip()]


def _read_csv(text: str, task: Task) -> list[Any]:
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    if task.benchmark == "mmlu" and rows and rows[0][:1] != ["question"]:
        return rows  # the original files have no header
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def _convert_arc(raw: Any) -> Row:
    if "answerKey" in raw and isinstance(raw["question"], dict):  # the original files
        choices = raw["question"]["choices"]
        return {
            "question": raw["question"]["stem"],
            "choices": {
                "text": [choice["text"] for choice in choices],
                "label": [choice["label"] for choice in choices],
            },
            "answerKey": raw["answerKey"],
        }
    if "answerKey" in raw:
        return dict(raw)
    body = re.sub(r"^Please choose the correct answer to the question:\s*", "", raw["instruction"])
    body = re.sub(r"\s*Answer format:.*\Z", "", body, flags=re.DOTALL)
    question, *texts = re.split(r"\s*\bAnswer\d: ", body)
    labels = [str(at + 1) for at in range(len(texts))]
    answer = re.fullmatch(r"answer(\d)", raw["answer"])
    if not texts or answer is None:
        raise ValueError("no choices or no answer in an instruction-style row")
    return {
        "question": question.strip(),
        "choices": {"text": [text.strip() for text in texts], "label": labels},
        "answerKey": answer[1],
    }


def _convert_hellaswag(raw: Any) -> Row:
    if isinstance(raw, list):  # six lines: "activity: context", label, four endings
        activity, _, context = raw[0].partition(": ")
        first, stop, last = context.rpartition(". ")
        # The half from videos ends in the beginning of a sentence, in small letters; the half from
        # WikiHow, with its marks, ends in a whole one, which is no beginning to be capitalised.
        if not last[:1].islower() or "[" in context:
            first, stop, last = context, "", ""
        return {
            "activity_label": activity,
            "ctx_a": first + stop.strip(),
            "ctx_b": last,
            "endings": raw[2:6],
            "label": raw[1],
        }
    return dict(raw)


def _convert_mmlu(raw: Any) -> Row:
    if isinstance(raw, list):
        question, *choices, answer = raw
        return {"question": question, "choices": choices, "answer": "ABCD".index(answer.strip())}
    if "choices" in raw:
        return dict(raw)
    choices = [raw[f"choice{at}"] for at in range(4)]
    return {"question": raw["question"], "choices": choices, "answer": int(raw["answer"])}


def _convert_truthful(raw: Any) -> Row:
    if "mc1_targets" in raw:
        return dict(raw)

    def split(text: str) -> list[str]:
        return [part.strip() for part in text.split(";") if part.strip()]

    true, false = split(raw["Correct Answers"]), split(raw["Incorrect Answers"])

    def targets(right: list[str]) -> dict[str, list[Any]]:
        return {"choices": right + false, "labels": [1] * len(right) + [0] * len(false)}

    return {
        "question": raw["Question"],
        "mc1_targets": targets([raw["Best Answer"].strip()]),
        "mc2_targets": targets(true),
    }


_LAYOUTS: dict[str, Callable[[Any], Row]] = {
    "arc": _convert_arc,
    "hellaswag": _convert_hellaswag,
    "mmlu": _convert_mmlu,
    "truthfulqa": _convert_truthful,
}
