"""Benchmark rows from local files, in whatever layout they lie, or from the Hugging Face hub.

Layouts, told apart by name and content: the hub's (Parquet, JSON or JSON lines, one file a split,
a folder a configuration), the authors' originals (ARC's and HellaSwag's JSON lines, MMLU's CSV
files, TruthfulQA.csv), instruction-style ARC (``Answer1: … Answer2: …``), and HellaSwag as six
lines of text an item. All are brought into the hub's layout.
"""

from __future__ import annotations

import bz2
import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from residency.errors import FetchError, SuiteError
from residency.evaluate.benchmarks.task import Row, Task
from residency.files.own_lines import split_lines

HUB = {
    "arc": "allenai/ai2_arc",
    "hellaswag": "Rowan/hellaswag",
    "mmlu": "cais/mmlu",
    "truthfulqa": "truthfulqa/truthful_qa",
}
_HINTS = {
    "arc": ("arc",),
    "hellaswag": ("hellaswag",),
    "mmlu": ("mmlu",),
    "truthfulqa": ("truthful",),
}
_SPLIT_WORDS = {
    "train": ("train", "auxiliary_train"),
    "validation": ("validation", "val", "valid"),
    "test": ("test",),
    "dev": ("dev",),
}
_ENDINGS = (".parquet", ".jsonl", ".json", ".csv", ".txt", ".bz2")


class Splits(Protocol):
    """Where rows come from."""

    def rows(self, task: Task, splits: Sequence[str]) -> Sequence[Row]:
        """Rows of the first of these splits that exists, in the hub's layout."""
        ...


class LocalSplits:
    """Rows from a folder of the user's.

    Args:
        folder: searched with its subfolders.

    Raises:
        SuiteError: the folder does not exist.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise SuiteError(
                "no such folder of benchmark files",
                where=str(folder),
                next_step="name the folder with --data, or use --data hub",
            )
        self.folder = folder
        self._rows: dict[tuple[str, str, tuple[str, ...]], list[Row]] = {}

    @cached_property
    def _files(self) -> list[Path]:
        """Files that may hold rows; looked for when a task names none."""
        return sorted(
            path
            for path in self.folder.rglob("*")
            if path.suffix.lower() in _ENDINGS and path.is_file()
        )

    def rows(self, task: Task, splits: Sequence[str]) -> Sequence[Row]:
        """Rows of the first of these splits that is there.

        Raises:
            SuiteError: none of them is there, or a row is not of a known layout.
        """
        key = (task.benchmark, task.subset, tuple(splits))
        if key not in self._rows:
            self._rows[key] = self._read(task, splits)
        return self._rows[key]

    def _read(self, task: Task, splits: Sequence[str]) -> list[Row]:
        mine = [path for path in self._files if _is_file_of(path.relative_to(self.folder), task)]
        for split in splits:
            paths = [path for path in mine if _split_of(path.relative_to(self.folder)) == split]
            if not paths and task.benchmark == "truthfulqa":
                paths = [path for path in mine if path.stem.lower() == "truthfulqa"]
            rows = [row for path in paths for row in read_rows(path, task)]
            if rows:
                return rows
        raise SuiteError(
            f"no {' or '.join(splits)} rows of {task.name}",
            where=str(self.folder),
            next_step=_next_step(task),
        )


class HubSplits:
    """Rows from the Hugging Face hub, read at their first use and then held in memory."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str], list[Row]] = {}

    def rows(self, task: Task, splits: Sequence[str]) -> Sequence[Row]:
        """Rows of the first of these splits that the dataset has.

        Raises:
            FetchError: the hub cannot be reached, or has no such split.
        """
        problem = ""
        for split in splits:
            key = (task.benchmark, task.subset, split)
            if key in self._rows:
                return self._rows[key]
            folder = f"{task.subset}/" if task.subset else "data/"
            address = f"hf://datasets/{HUB[task.benchmark]}/{folder}{split}-*.parquet"
            try:
                self._rows[key] = read_hub_rows(address)
            except Exception as error:  # a network that is not there has many kinds of errors
                problem = f"{address}: {(str(error).splitlines() or [type(error).__name__])[0]}"
                continue
            return self._rows[key]
        raise FetchError(
            f"the hub gave no rows ({problem})",
            next_step="check the network, or name a folder of local files with --data",
        )


def read_parquet_rows(file: Path | BinaryIO) -> list[Row]:
    """Every row of a Parquet file.

    Raises:
        OSError, ValueError: it cannot be read, or is no Parquet file.
    """
    import pyarrow.parquet as pq

    return list(pq.read_table(file).to_pylist())


def read_hub_rows(address: str) -> list[Row]:
    """Rows of all Parquet files of a dataset on the hub, e.g. ``hf://datasets/O/N/test-*.parquet``.

    Raises:
        FileNotFoundError: there are none. OSError and others: the hub cannot be reached.
    """
    from huggingface_hub import HfFileSystem

    hub = HfFileSystem()
    rows: list[Row] = []
    names = sorted(hub.glob(address.removeprefix("hf://")))
    if not names:
        raise FileNotFoundError("no such files")
    for name in names:
        with hub.open(name, "rb") as file:
            rows += read_parquet_rows(file)
    return rows


def _next_step(task: Task) -> str:
    if task.benchmark in HUB:
        return f"put the hub's files of {HUB[task.benchmark]} there, or use --data hub"
    return f"put files named after {task.benchmark} and their split there, or name data_files in it"


def read_split(task: Task, splits: Splits, names: Sequence[str]) -> Sequence[Row]:
    """Rows of the first of these splits that exists: the task's files, or those of ``splits``.

    Raises:
        SuiteError: none is there, or a row is not of the task's layout.
    """
    if not task.files:
        return splits.rows(task, names)
    for name in names:
        if name in task.files:
            return _read_files(task, task.files[name])
    raise SuiteError(
        f"{task.name} names no files of its split {' or '.join(names)}",
        next_step="docs/benchmarks.md shows a task file",
    )


def _read_files(task: Task, paths: Sequence[Path]) -> list[Row]:
    return [row for path in paths for row in read_rows(path, task)]


def _is_file_of(path: Path, task: Task) -> bool:
    text = path.as_posix().lower()
    if not any(hint in text for hint in _HINTS.get(task.benchmark, (task.benchmark,))):
        return False
    if task.benchmark == "arc":
        # "arc" is in many words: the configuration's name decides.
        return task.subset.lower() in text.replace("_", "-")
    if task.benchmark == "mmlu":
        return any(
            part == task.subset or re.fullmatch(rf"{task.subset}[_-].*", part)
            for part in (*path.parts[:-1], path.stem)
        )
    return True


def _split_of(path: Path) -> str:
    """The split that a file's name tells (its folder's, when the name is silent)."""
    for part in (path.name, *reversed(path.parts[:-1])):
        tokens = re.split(r"[^a-z]+", part.lower())
        for split, names in _SPLIT_WORDS.items():
            if any(name in tokens for name in names):
                return split
    return ""


def read_rows(path: Path, task: Task) -> list[Row]:
    """Rows of one file, in the hub's layout.

    Raises:
        SuiteError: the file cannot be read, or a row is not of a known layout.
    """
    try:
        raw = _read_records(path, task)
    except (OSError, ValueError, UnicodeDecodeError) as error:
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
        return read_parquet_rows(path)
    raw = path.read_bytes()
    name = path.name
    if path.suffix == ".bz2":
        raw, name = bz2.decompress(raw), path.stem
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
