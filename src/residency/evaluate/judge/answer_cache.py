"""Answers of a judge, kept so that an interrupted or repeated judgement asks only for the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol


class AnswerCache(Protocol):
    """Judge answers by the hash of what was asked."""

    def get(self, key: str) -> str | None:
        """The stored answer, or None."""
        ...

    def put(self, key: str, text: str) -> None:
        """Keep an answer."""
        ...


class FileCache:
    """An ``AnswerCache`` in a JSONL file, one line an answer, written as soon as it is there.

    A last line that was cut off (a killed process) is ignored, and asked for again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._answers: dict[str, str] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").split("\n"):
                try:
                    row = json.loads(line)
                    self._answers[row["key"]] = row["text"]
                except (json.JSONDecodeError, KeyError, TypeError):
                    continue

    def get(self, key: str) -> str | None:
        """The stored answer, or None."""
        return self._answers.get(key)

    def put(self, key: str, text: str) -> None:
        """Keep an answer."""
        self._answers[key] = text
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            if file.tell() and self._ends_open():
                file.write(b"\n")
            row = json.dumps({"key": key, "text": text}, ensure_ascii=False)
            file.write(row.encode() + b"\n")

    def _ends_open(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, 2)
            return file.read(1) != b"\n"
