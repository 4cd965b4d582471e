"""Where benchmark rows come from: a folder of the user's, the Hugging Face hub, or a task's files.

Files of a folder are told apart by their names: the benchmark, its configuration, and the split.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from residency.errors import FetchError, SuiteError
from residency.evaluate.benchmarks.row_layouts import read_parquet_rows, read_rows
from residency.evaluate.benchmarks.task import Row, Task

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


def write_question(task: Task, row: Mapping[str, Any]) -> str:
    """What an item asks, without frame, choices and examples."""
    question_text = row.get("question")
    if question_text:
        return str(question_text)
    question = task.read(row)
    return question.choices[question.gold] if task.kind == "rolling" else question.text
