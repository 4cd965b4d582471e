"""Which columns a user may have meant: named in the next step of a file that cannot be read."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from residency.data.reading.column_paths import find_root, list_text_paths, read_column

_IDS = {"id", "idx", "index", "uuid", "_id", "created_at", "updated_at", "timestamp", "date"}
NO_WORDS = _IDS | {
    "url", "source", "date", "time", "timestamp", "created", "created_at", "updated_at", "lang",
    "language", "license", "licence", "author", "user", "file", "path", "title", "meta", "metadata",
    "split", "dataset", "subset", "domain", "tags", "group", "weight", "year", "page", "line",
}  # fmt: skip
"""Columns that say where a text comes from, and not what a model should answer."""

MAYBE_ANSWERS = {
    "code", "sql", "summary", "highlights", "translation", "paraphrase", "correction", "corrected",
    "reference", "reference_answer", "rewrite", "simplified",
}  # fmt: skip
"""Columns beside a text that are no part of it, and may be what is to be written."""

COLUMNS_HINT = (
    "name your columns: --column question=NAME --column response=NAME, or in residency.toml: "
    '[data] columns = {question = "NAME", response = "NAME"}'
)


def suggest_columns(rows: Sequence[Mapping[str, Any]]) -> str:
    """How to name the columns, with those of the file where it has just two of text."""
    paths = dict.fromkeys(path for row in rows for path in list_text_paths(row))
    columns = dict.fromkeys([*(str(key) for row in rows for key in row), *paths])
    inner = {path.split(".")[0] for path in paths if not any(path in row for row in rows)}
    texts = [n for n in columns if n.strip() and n.strip().lower() not in _IDS and n not in inner]
    whole = all(isinstance(read_column(row, name), str) for row in rows for name in texts)
    if len(texts) != 2 or not whole:
        nested = [path for path in paths if path.split(".")[0] in inner][:4]
        return COLUMNS_HINT + (f"; inside of objects: {', '.join(nested)}" if nested else "")
    question, answer = (shlex.quote(name) for name in texts)
    return (
        f"if {question} is the question and {answer} the answer: --column question={question} "
        f"--column response={answer}, or in residency.toml: [data] columns = "
        f"{{question = {json.dumps(texts[0])}, response = {json.dumps(texts[1])}}}"
    )


def _list_first_texts(row: Mapping[str, Any]) -> list[str]:
    """The paths of the first texts of columns that are lists of texts."""
    lists = [(name, value) for name, value in row.items() if isinstance(value, list) and value]
    return [f"{name}.0" for name, value in lists if isinstance(value[0], str)]


def list_answer_columns(row: Mapping[str, Any], read: Collection[str]) -> list[str]:
    """Columns of text that are not ``read``, and that do not say where the text comes from;
    the longest comes first."""
    used = {*read, *(find_root(row, column) for column in read)}
    paths = [
        path
        for path in (*list_text_paths(row), *_list_first_texts(row))
        if find_root(row, path) not in used
        and path.strip().lower() not in NO_WORDS
        and not path.strip().lower().endswith("id")
    ]
    return sorted(paths, key=lambda path: -len(str(read_column(row, path))))
