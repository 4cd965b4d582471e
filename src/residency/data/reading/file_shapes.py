"""Files whose rows stand in another order than one object each: what they are, and the command that
writes them as rows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from residency.data.reading.known_sets import describe_known_set
from residency.text.words import split_words

_SAFE = re.compile(r"[\w./ -]+")
_LONG_NAME = 20
"""Letters from which on a column's name may be a sentence of the first row."""


def describe_file_shape(rows: Sequence[Mapping[str, Any]], where: str) -> tuple[str, str]:
    """What a file without a layout is, and how it becomes rows; both empty where nobody knows.

    Args:
        where: the file, as messages speak of it.
    """
    first = rows[0] if rows else {}
    if not _SAFE.fullmatch(where):  # it would stand in a shell's quotes
        return "", ""
    if (known := describe_known_set(first, where)) != ("", ""):
        return known
    if (batch := _describe_batch(first, where)) is not None:
        return batch
    if "input_ids" in first and not any(isinstance(value, str) for value in first.values()):
        return (
            ": these are token ids of some tokenizer, not text",
            "name the file of texts that they were made from; the template and marks are written here",
        )
    if len(rows) == 1 and Path(where).suffix.lower() in (
        ".json",
        ".jsonc",
        ".json5",
        ".yaml",
        ".yml",
    ):
        return _describe_object(first, where)
    if first and all(_is_sentence(str(name)) for name in first):
        mark = "\t" if Path(where).suffix == ".tsv" else ","
        names = ["question", "answer", *(f"column_{n}" for n in range(3, len(first) + 1))]
        header = mark.join(names[: len(first)]).replace("\t", "\\t")
        return (
            ": the first line seems to be a row, not the names of columns",
            f"put names above it: (printf '{header}\\n'; cat {shlex.quote(where)}) "
            f"> named{Path(where).suffix}",
        )
    return "", ""


def _is_sentence(name: str) -> bool:
    return len(name) > _LONG_NAME and len(split_words(name)) > 3


def _describe_object(value: Mapping[str, Any], where: str) -> tuple[str, str]:
    """One object that holds the rows: by splits, by keys, or a list a column."""
    values = list(value.values())
    load = "yaml.safe_load(open" if Path(where).suffix in (".yaml", ".yml") else "json.load(open"
    data = f"data = {load}({where!r}))"
    lists = [n for n, rows in value.items() if _holds_objects(rows) and _SAFE.fullmatch(str(n))]
    if lists:
        name = next((n for n in ("rows", "train", "data") if n in lists), lists[0])
        what = f": the rows stand in the lists {', '.join(lists[:6])}"
        return what, _write_command(data, "row", f"data[{name!r}]", name)
    if len(values) > 1 and all(isinstance(row, Mapping) and row for row in values):
        if _have_numbered_rows(value):
            rows = "zip(*(column.values() for column in data.values()))"
            what = ": each field is a column, its rows by number"
            return what, _write_command(data, "dict(zip(data, row))", rows)
        if not set.intersection(*(set(row) for row in values)):
            return "", ""
        what = ": the rows stand under a name each"
        return what, _write_command(data, "row", "data.values()")
    if len(values) > 1 and len({len(c) if isinstance(c, list) else -1 for c in values}) == 1:
        if not isinstance(values[0], list):
            return "", ""
        what = ": each field is a list, a column of all rows"
        return what, _write_command(data, "dict(zip(data, row))", "zip(*data.values())")
    return "", ""


def _holds_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _have_numbered_rows(value: Mapping[str, Any]) -> bool:
    """Whether the fields are columns, each with its rows by number."""
    return len({tuple(column) for column in value.values()}) == 1 and all(
        str(key).isdecimal() for column in value.values() for key in column
    )


def _write_command(data: str, row: str, rows: str, name: str = "rows") -> str:
    file = re.sub(r"[^\w.-]", "_", name) or "rows"
    return (
        f'python -c "import json, yaml; {data}; [print(json.dumps({row})) for row in {rows}]" '
        f"> {file}.jsonl"
    )


def _describe_batch(row: Mapping[str, Any], where: str) -> tuple[str, str] | None:
    """Files of providers' batches: what was asked stands in another file, or in another object."""
    request, response = row.get("request"), row.get("response")
    if isinstance(request, Mapping) and "contents" in request and isinstance(response, Mapping):
        return ": requests and responses of Vertex AI", _write_lines(
            where,
            "{'contents': row['request']['contents'] + [row['response']['candidates'][0]['content']]}",
        )
    if "custom_id" not in row:
        return None
    if isinstance(response, Mapping) and "body" in response:
        answer, request = "row['response']['body']['choices'][0]['message']", "['body']"
    elif isinstance(row.get("result"), Mapping):
        answer, request = "row['result']['message']", "['params']"
    else:
        return (
            ": requests of a batch, without their answers",
            "name the prompts to use them alone (in pool, dev or test): --column "
            f"messages={'body' if 'body' in row else 'params'}.messages",
        )
    return (
        ": answers of a batch, without what was asked",
        "join them with the file of requests (here requests.jsonl): "
        + _write_lines(
            where,
            f"{{'messages': prompts[row['custom_id']] + [{{'role': 'assistant', 'content': {answer}['content']}}]}}",
            f"prompts = {{r['custom_id']: r{request}['messages'] for r in map(json.loads, open('requests.jsonl'))}}; ",
        ),
    )


def _write_lines(where: str, row: str, before: str = "") -> str:
    return (
        f'python -c "import json; {before}[print(json.dumps({row})) '
        f'for row in map(json.loads, open({where!r}))]" > rows.jsonl'
    )
