"""Benchmark tasks as data: a TOML file of ours, or a task YAML of lm-evaluation-harness.

Both have the same keys, those of lm-evaluation-harness 0.4.13: templates (Jinja) that make a
question, its choices and its answer out of a row. Read are the types ``multiple_choice`` and
``loglikelihood``; what is not (Python functions, other types) is refused by name. Templates run in
a sandbox, and no code of a task file is run.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from residency.errors import SuiteError
from residency.evaluate.benchmarks.task import Question, Row, Task

TASK_ENDINGS = (".toml", ".yaml", ".yml")
HELP = "docs/benchmarks.md shows a task file"
METRICS: Mapping[str, tuple[str, ...]] = {
    "multiple_choice": ("acc", "acc_norm", "acc_bytes"),
    "loglikelihood": ("perplexity", "acc"),
}
"""What can be counted, by type."""
_READ = frozenset(
    [
        "task",
        "dataset_path",
        "dataset_name",
        "dataset_kwargs",
        "output_type",
        "training_split",
        "validation_split",
        "test_split",
        "fewshot_split",
        "doc_to_text",
        "doc_to_target",
        "doc_to_choice",
        "description",
        "target_delimiter",
        "fewshot_delimiter",
        "num_fewshot",
        "fewshot_config",
        "metric_list",
    ]
)
_WITHOUT_EFFECT = frozenset(
    [
        "tag",
        "group",
        "task_alias",
        "metadata",
        "should_decontaminate",
        "doc_to_decontamination_query",
        "repeats",
        "unsafe_code",
    ]
)
_INCLUDES = 5

_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)


def read_task_file(path: Path) -> Task:
    """The task that a file describes.

    Raises:
        SuiteError: it cannot be read, has a key that is not read here, or names data that is not
            there.
    """
    raw = _read_with_includes(path)
    where = str(path)
    unread = sorted(
        key
        for key, value in raw.items()
        if value is not None and key not in _READ | _WITHOUT_EFFECT
    )
    if unread:
        raise SuiteError(f"the key {unread[0]!r} is not read", where=where, next_step=HELP)
    output = raw.get("output_type", "multiple_choice")
    if output not in METRICS:
        raise SuiteError(
            f"output_type is {output!r}; read are {', '.join(METRICS)}", where=where, next_step=HELP
        )
    for key in (
        "doc_to_text",
        "doc_to_target",
        *(["doc_to_choice"] * (output == "multiple_choice")),
    ):
        if raw.get(key) is None:
            raise SuiteError(f"the key {key!r} is missing", where=where, next_step=HELP)
    files = _find_files(raw, path)
    splits = _list_splits(raw, where)
    shots_split = (
        raw.get("fewshot_split") or raw.get("training_split") or raw.get("validation_split")
    )
    sampler = (raw.get("fewshot_config") or {}).get("sampler", "default")
    if sampler not in ("default", "first_n"):
        raise SuiteError(f"the sampler {sampler!r} is not known", where=where, next_step=HELP)
    name = str(raw.get("task") or path.stem)
    return Task(
        name=name,
        benchmark=name,
        subset="",
        read=partial(_read_row, raw, output, where),
        metrics=_list_metrics(raw, output, where),
        test=splits,
        # A task that says 0 itself takes no examples, whatever is asked for: so does the harness.
        shots_from=()
        if raw.get("num_fewshot") == 0
        else (str(shots_split),)
        if shots_split
        else splits,
        shots=int(raw.get("num_fewshot") or 0),
        order="first" if sampler == "first_n" else "random",
        # The harness compares the two settings, also where neither is set.
        exclude_item=raw.get("fewshot_split") == raw.get("test_split"),
        description=str(raw.get("description") or ""),
        target_delimiter=str(raw.get("target_delimiter", " ")),
        fewshot_delimiter=str(raw.get("fewshot_delimiter", "\n\n")),
        kind="likelihood" if output == "loglikelihood" else "choice",
        files=files,
    )


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Plain YAML; a tag such as ``!function`` names code, which is not run."""


def _refuse_tag(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    raise SuiteError(
        f"{node.tag} {getattr(node, 'value', '')} names Python code, which is not run",
        where=f"line {node.start_mark.line + 1}",
        next_step=HELP,
    )


_Loader.add_constructor("!function", _refuse_tag)


def _read_with_includes(path: Path, depth: int = 0) -> dict[str, Any]:
    """A file's keys, over those of the files that it includes."""
    raw = _read_mapping(path)
    include = raw.pop("include", None)
    if include is None:
        return raw
    if depth >= _INCLUDES or not isinstance(include, str):
        raise SuiteError("'include' names one file, five deep at most", where=str(path))
    return {**_read_with_includes(path.parent / include, depth + 1), **raw}


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text) if path.suffix == ".toml" else yaml.load(text, _Loader)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        raise SuiteError(f"cannot be read: {error}", where=str(path), next_step=HELP) from None
    if not isinstance(raw, dict):
        raise SuiteError("a task file holds keys and values", where=str(path), next_step=HELP)
    return raw


def _find_files(raw: Mapping[str, Any], path: Path) -> dict[str, tuple[Path, ...]]:
    """Split → files, where the task names local data (``dataset_path = "json"``)."""
    named = (raw.get("dataset_kwargs") or {}).get("data_files")
    if named is None:
        return {}
    if raw.get("dataset_path") not in ("json", "csv", "parquet"):
        raise SuiteError(
            "data_files need dataset_path = json, csv or parquet", where=str(path), next_step=HELP
        )
    by_split = named if isinstance(named, dict) else {"train": named}
    files: dict[str, tuple[Path, ...]] = {}
    for split, names in by_split.items():
        listed = names if isinstance(names, list) else [names]
        files[split] = tuple(path.parent / str(name) for name in listed)
        for file in files[split]:
            if not file.is_file():
                raise SuiteError("no such file", where=f"{path}: {file}", next_step=HELP)
    return files


def _list_splits(raw: Mapping[str, Any], where: str) -> tuple[str, ...]:
    split = raw.get("test_split") or raw.get("validation_split")
    if not split:
        raise SuiteError("neither test_split nor validation_split", where=where, next_step=HELP)
    return (str(split),)


def _list_metrics(raw: Mapping[str, Any], output: str, where: str) -> tuple[str, ...]:
    listed = raw.get("metric_list") or [{"metric": name} for name in METRICS[output][:2]]
    names = [str(entry.get("metric")) for entry in listed]
    for name in names:
        if name not in METRICS[output]:
            raise SuiteError(
                f"the metric {name!r} is not known for {output}", where=where, next_step=HELP
            )
    return tuple(names)


def _read_row(raw: Mapping[str, Any], output: str, where: str, row: Row) -> Question:
    """One row as a question.

    Raises:
        ValueError: a template fails on it, or the answer is none of the choices.
    """
    try:
        text = str(_fill_template(raw["doc_to_text"], row))
        target = _fill_target(raw, row)
        if output == "loglikelihood":
            return Question(text, (str(target),), 0)
        choices = _fill_choices(raw["doc_to_choice"], row)
    except (TemplateError, SyntaxError) as error:
        raise ValueError(f"{where}: {error}") from None
    gold = target if isinstance(target, int) else choices.index(str(target))
    if not 0 <= gold < len(choices):
        raise ValueError(f"the answer {gold} is none of {len(choices)} choices")
    return Question(text, choices, gold)


def _fill_template(template: Any, row: Row) -> Any:
    """A column's value, or the template filled with the row."""
    if not isinstance(template, str):
        return template
    if template in row:
        return row[template]
    return _ENVIRONMENT.from_string(template).render(**row)


def _fill_target(raw: Mapping[str, Any], row: Row) -> Any:
    value = _fill_template(raw["doc_to_target"], row)
    if isinstance(raw["doc_to_target"], str) and raw["doc_to_target"] in row:
        return value
    if isinstance(value, str) and value.isdigit() and raw.get("doc_to_choice") is not None:
        return int(value)
    return value


def _fill_choices(template: Any, row: Row) -> tuple[str, ...]:
    if isinstance(template, Mapping):
        return tuple(map(str, template.values()))
    if isinstance(template, Sequence) and not isinstance(template, str):
        return tuple(map(str, template))
    value = _fill_template(template, row)
    listed = ast.literal_eval(value) if isinstance(value, str) else value
    return tuple(map(str, listed))
