"""Questions of ARC, HellaSwag, MMLU and TruthfulQA from local copies, to compare training rows with.

A copy is recognised by its name, in whatever format it lies there: the benchmark's JSON, CSV
and text files, or Parquet as the hub has them.
"""

from __future__ import annotations

import bz2
import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from residency.errors import DataError
from residency.files.opening import find_kind
from residency.files.records import read_records

_FIELDS = ("question", "Question", "ctx", "question_stem", "input_text", "instruction")
_ENDINGS = (".json", ".jsonl", ".parquet", ".csv", ".bz2", ".gz", ".zst", ".arrow")
_FRAME = re.compile(
    r"^Please choose the correct answer to the question:\s*|\s*Answer\s?1:.*$", re.DOTALL
)
"""The frame that instruction-style copies of ARC put around each question."""


def load_benchmarks(folder: Path) -> dict[str, list[str]]:
    """Benchmark → the questions of its test and validation items.

    Raises:
        DataError: the folder is missing, or holds no benchmark that is known.
    """
    if not folder.is_dir():
        raise DataError("no such folder", where=str(folder), next_step="correct data.benchmarks")
    out: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        name = _name_benchmark(path.relative_to(folder))
        if name and path.is_file() and path.suffix.lower() in _ENDINGS:
            out.setdefault(name, []).extend(_read_questions(path, name))
    questions = {name: list(dict.fromkeys(texts)) for name, texts in out.items() if texts}
    if not questions:
        raise DataError(
            "no ARC, HellaSwag, MMLU or TruthfulQA files there",
            where=str(folder),
            next_step="name them so that the path holds arc, hellaswag, mmlu or truthfulqa",
        )
    return questions


def _name_benchmark(path: Path) -> str:
    text = path.as_posix().lower()
    if "train" in path.name.lower() or "/train" in text or "/dev/" in text:
        return ""  # training and few-shot items are public to train on
    if "hellaswag" in text:
        return "HellaSwag"
    if "truthful" in text:
        return "TruthfulQA"
    if "mmlu" in text:
        return "MMLU"
    if re.search(r"\barc\b|ai2_arc|arc[-_](?:challenge|easy)|arc[ce]\b", text):
        return "ARC"
    return ""


def _read_questions(path: Path, name: str) -> Iterator[str]:
    if path.suffix == ".bz2":
        yield from _hellaswag_text(path)
        return
    if name == "MMLU" and path.suffix == ".csv":  # no header: question, four choices, answer
        with path.open(encoding="utf-8", newline="") as handle:
            for row in csv.reader(handle):
                if len(row) == 6 and row[0] != "question":
                    yield row[0]
        return
    for record in read_records(path, find_kind(path)):
        text = _find_question(record.values or {})
        if text:
            yield text


def _find_question(values: Mapping[str, Any]) -> str:
    for field in _FIELDS:
        value = values.get(field)
        if isinstance(value, Mapping):  # ARC's files: {"question": {"stem": …}}
            value = value.get("stem")
        if isinstance(value, str) and value.strip():
            return _FRAME.sub("", value).strip()
    return ""


def _hellaswag_text(path: Path) -> Iterator[str]:
    """The compact text form, six lines an item: activity and context, label, four endings."""
    with bz2.open(path, "rt", encoding="utf-8") as handle:
        for number, line in enumerate(handle):
            if number % 6 == 0:
                yield line.partition(": ")[2].strip() or line.strip()
