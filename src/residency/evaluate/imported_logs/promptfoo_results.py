"""promptfoo: results of version 3 (``promptfoo eval -o results.json``, ``.yaml`` or ``.jsonl``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
from residency.files.records import read_records
from residency.files.yaml_records import load_yaml

_ERROR = 2
"""``failureReason`` of a row that could not be judged."""
Rows = Iterable[tuple[int, Any]]


def read_promptfoo(path: Path, model: str = "") -> ImportedLog:
    """A file of results.

    Args:
        model: id or label of the provider, where the file has several.

    Raises:
        DataError: it is cut off or no results of version 3, or several providers answered.
    """
    counted: dict[str, Any] = {}
    if path.suffix.lower() in (".yaml", ".yml"):
        rows: Rows = _read_yaml_rows(path, counted)
    elif path.name.lower().endswith((".jsonl", ".jsonl.gz", ".jsonl.zst")):
        rows = _read_line_rows(path)
    else:
        rows = _read_json_rows(path, counted)
    count = 0
    logs: dict[str, ImportedLog] = {}
    others: dict[str, None] = {}
    prompts: set[str] = set()
    for line, row in rows:
        where = f"{path}:{line}" if line else str(path)
        if not isinstance(row, Mapping) or "success" not in row:
            raise DataError("no result of promptfoo: success is missing", where=where)
        count += 1
        names = _name_provider(row.get("provider"))
        if model and model not in names:
            others[names[0]] = None
            continue
        log = logs.setdefault(names[0], ImportedLog(f"promptfoo {path.name}, {names[0]}"))
        prompts.add(_add_row(log, row, where))
    _check_providers(path, model, list(logs), list(others))
    (chosen,) = logs.values()
    expected = sum(n for n in counted.values() if isinstance(n, int))
    if count < expected:
        chosen.incomplete = f"{count} of the {expected} results that its statistics count"
    if len(prompts) == 1:  # one prompt: its name says nothing
        chosen.items = {ItemKey("", key.item): item for key, item in chosen.items.items()}
        chosen.metrics = {"": next(iter(chosen.metrics.values()))}
    _drop_repeated_score(chosen)
    return chosen


def _check_providers(path: Path, model: str, read: list[str], others: list[str]) -> None:
    if not read and not others:
        raise DataError(
            "no results", where=str(path), next_step="promptfoo eval --output results.json"
        )
    if not read:
        raise DataError(
            f"no provider is called {model!r}",
            where=str(path),
            next_step=f"one of: {', '.join(others)}",
        )
    if len(read) > 1:
        raise DataError(
            f"{len(read)} providers answered: {', '.join(read)}",
            where=str(path),
            next_step=f"name one: '{path}#{read[0]}'",
        )


def _add_row(log: ImportedLog, row: Mapping[str, Any], where: str) -> str:
    case = row.get("testCase")
    case = case if isinstance(case, Mapping) else {}
    variables = case.get("vars") or row.get("vars") or {}
    prompt = row.get("prompt")
    prompt = prompt if isinstance(prompt, Mapping) else {"raw": prompt}
    task = " ".join(str(prompt.get("label") or prompt.get("raw") or "").split())[:60]
    item = hash_value([variables, case.get("description")])
    name = f"testIdx {row.get('testIdx', '?')}"
    asserts = [a for a in case.get("assert") or [] if isinstance(a, Mapping)]
    target = hash_value([[a.get("type"), a.get("value"), a.get("threshold")] for a in asserts])
    if not log.add(
        ItemKey(task, item), hash_value(prompt.get("raw")), target, name, _read_row(row)
    ):
        raise DataError(f"{name} was asked with another prompt in the same file", where=where)
    return task


def _read_row(row: Mapping[str, Any]) -> dict[str, float | None]:
    named = row.get("namedScores")
    named = named if isinstance(named, Mapping) else {}
    scores: dict[str, float | None] = {
        "pass": float(row["success"]) if isinstance(row["success"], bool) else None,
        "score": read_number(row.get("score")),
        **{str(name): read_number(value) for name, value in named.items()},
    }
    return dict.fromkeys(scores) if _could_not_judge(row) else scores


def _could_not_judge(row: Mapping[str, Any]) -> bool:
    """Whether the provider or a grader failed, which is no failure of the answer."""
    grading = row.get("gradingResult")
    grading = grading if isinstance(grading, Mapping) else {}
    parts = [grading, *[p for p in grading.get("componentResults") or [] if isinstance(p, Mapping)]]
    if any(
        isinstance(p.get("metadata"), Mapping) and p["metadata"].get("graderError") for p in parts
    ):
        return True
    if "failureReason" in row:
        return bool(row["failureReason"] == _ERROR)
    response = row.get("response")
    return not isinstance(response, Mapping) or bool(response.get("error"))


def _drop_repeated_score(log: ImportedLog) -> None:
    """``score`` says the same as ``pass`` where every row has one assertion of yes or no."""
    for task, metrics in log.metrics.items():
        items = [item for key, item in log.items.items() if key.task == task]
        if "score" in metrics and all(i.scores["score"] == i.scores["pass"] for i in items):
            metrics.remove("score")


def _name_provider(provider: Any) -> list[str]:
    """Label and id, the label first."""
    if isinstance(provider, Mapping):
        names = [str(provider[key]) for key in ("label", "id") if provider.get(key)]
        return names or ["a provider"]
    return [str(provider or "a provider")]


def _read_json_rows(path: Path, counted: dict[str, Any]) -> Iterator[tuple[int, Any]]:
    for path_in_file, line, value in read_json_members(
        path, [("results", "results"), ("results",)]
    ):
        if path_in_file in (("results", "results"), ("results",)):
            yield line, value
        elif path_in_file[-1] == "version":
            _check_version(value, f"{path}:{line}")
        elif path_in_file[-1] == "stats":
            _read_counts(value, counted)


def _read_counts(stats: Any, counted: dict[str, Any]) -> None:
    """What the statistics of a file count: passed, failed, not judged."""
    if isinstance(stats, Mapping):
        counted.update({key: stats.get(key) for key in ("successes", "failures", "errors")})


def _check_version(version: Any, where: str) -> None:
    if isinstance(version, int) and version < 3:
        raise DataError(
            f"results of promptfoo's version {version}; version 3 and later are read",
            where=where,
            next_step="run the evaluation with promptfoo 0.100 or later",
        )


def _read_line_rows(path: Path) -> Iterator[tuple[int, Any]]:
    for record in read_records(path, "jsonl"):
        if record.values is None:
            raise DataError(record.error, where=f"{path}:{record.line}")
        yield record.line, record.values


def _read_yaml_rows(path: Path, counted: dict[str, Any]) -> Iterator[tuple[int, Any]]:
    value = load_yaml(path, aliases=True)
    results = value.get("results") if isinstance(value, Mapping) else None
    if isinstance(results, Mapping):
        _check_version(results.get("version"), str(path))
        _read_counts(results.get("stats"), counted)
        results = results.get("results")
    if not isinstance(results, list):
        raise DataError("no results of promptfoo: results.results is missing", where=str(path))
    for row in results:
        yield int(getattr(row, "line", 0)), row
