"""Answers of a judge, stored so that an interrupted or repeated judgement asks only for the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

from residency.files.own_lines import append_json_line, split_lines


class AnswerCache(Protocol):
    """Judge answers by the hash of the prompt."""

    def get(self, key: str) -> str | None:
        """The stored answer, or None."""
        ...

    def put(self, key: str, text: str) -> None:
        """Keep an answer."""
        ...


class FileCache:
    """An ``AnswerCache`` in a JSONL file, one line an answer, written as soon as it is there.

    A last line that was cut off (a killed process) is ignored, and its question is put again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._answers: dict[str, str] = {}
        if path.exists():
            for line in split_lines(path.read_bytes().decode("utf-8", errors="replace")):
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
        append_json_line(self.path, {"key": key, "text": text})
