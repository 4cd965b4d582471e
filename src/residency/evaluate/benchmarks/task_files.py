"""Benchmark tasks as data: a TOML file of ours, or a task YAML of lm-evaluation-harness.

Both have the same keys, those of lm-evaluation-harness 0.4.13: templates (Jinja) that make a
question, its choices and its answer out of a row. Read are all four types; what is not (Python
functions, other metrics) is refused by name. Templates run in a sandbox, and no code of a task file
is run.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import yaml

from residency.config.read_text import read_text_file
from residency.errors import SuiteError
from residency.evaluate.benchmarks.generation import read_generation
from residency.evaluate.benchmarks.row_templates import fill_description, read_row
from residency.evaluate.benchmarks.task import Task
from residency.files.yaml_records import measure_value

TASK_ENDINGS = (".toml", ".yaml", ".yml")
HELP = "docs/benchmarks.md shows a task file"
METRICS: Mapping[str, tuple[str, ...]] = {
    "multiple_choice": ("acc", "acc_norm", "acc_bytes"),
    "loglikelihood": ("perplexity", "acc"),
    "loglikelihood_rolling": ("word_perplexity", "byte_perplexity", "bits_per_byte"),
    "generate_until": ("exact_match",),
}
"""What can be counted, by type."""
_KINDS: Mapping[str, Literal["choice", "likelihood", "generation", "rolling"]] = {
    "multiple_choice": "choice",
    "loglikelihood": "likelihood",
    "loglikelihood_rolling": "rolling",
    "generate_until": "generation",
}
_AGGREGATIONS = {
    "perplexity": "perplexity",
    "word_perplexity": "weighted_perplexity",
    "byte_perplexity": "weighted_perplexity",
    "bits_per_byte": "bits_per_byte",
}
"""How a metric is made of its items, where it is no mean."""
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
        "generation_kwargs",
        "filter_list",
        "gen_prefix",
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
_EXAMPLE_KEYS = frozenset(
    [
        "sampler",
        "samples",
        "split",
        "doc_to_text",
        "doc_to_target",
        "doc_to_choice",
        "gen_prefix",
        "fewshot_delimiter",
        "target_delimiter",
    ]
)
"""What ``fewshot_config`` may say."""
_INCLUDES = 5


def read_task_file(path: Path) -> Task:
    """The task that a file describes.

    Raises:
        SuiteError: it cannot be read, has a key that is not read here, or names data that is not
            there.
    """
    raw = _read_with_includes(path)
    where = str(path)
    _refuse_functions(raw, where)
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
    needed = ["doc_to_text", "doc_to_target", *(["doc_to_choice"] * (output == "multiple_choice"))]
    for key in needed:
        if raw.get(key) is None:
            raise SuiteError(f"the key {key!r} is missing", where=where, next_step=HELP)
    name = str(raw.get("task") or path.stem)
    after = str(raw.get("fewshot_delimiter", "\n\n"))
    generation = read_generation(raw, after, where) if output == "generate_until" else None
    examples = _read_examples(raw, output, where)
    description = str(raw.get("description") or "")
    return Task(
        name=name,
        benchmark=name,
        subset="",
        read=partial(read_row, raw, output, where),
        metrics=generation.metrics if generation else _list_metrics(raw, output, where),
        test=_list_splits(raw, where),
        shots_from=examples.splits,
        shots=int(raw.get("num_fewshot") or 0),
        order=examples.order,
        exclude_item=examples.exclude_item,
        description=description,
        describe=partial(fill_description, description) if "{" in description else None,
        target_delimiter=str(raw.get("target_delimiter", " ")),
        fewshot_delimiter=after,
        kind=_KINDS[output],
        files=_find_files(raw, path),
        generation=generation,
        read_example=partial(read_row, examples.templates, output, where),
        examples=examples.rows,
        example_delimiters=(
            str(examples.templates.get("target_delimiter", " ")),
            str(examples.templates.get("fewshot_delimiter", "\n\n")),
        ),
    )


@dataclass(frozen=True)
class _Examples:
    """Where a task's examples come from, and by which templates they are written."""

    splits: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    order: Literal["random", "first"]
    exclude_item: bool
    templates: Mapping[str, Any]


def _read_examples(raw: Mapping[str, Any], output: str, where: str) -> _Examples:
    fewshot = {k: v for k, v in (raw.get("fewshot_config") or {}).items() if v is not None}
    unread = sorted(set(fewshot) - _EXAMPLE_KEYS)
    if unread:
        raise SuiteError(f"the key {unread[0]!r} is not read", where=f"{where}, fewshot_config")
    sampler = fewshot.get("sampler", "default")
    if sampler not in ("default", "first_n"):
        raise SuiteError(f"the sampler {sampler!r} is not known", where=where, next_step=HELP)
    samples = fewshot.get("samples", [])
    if not isinstance(samples, list) or not all(isinstance(row, Mapping) for row in samples):
        raise SuiteError("samples is a list of rows", where=f"{where}, fewshot_config")
    split = fewshot.get("split", raw.get("fewshot_split"))
    named = split or raw.get("training_split") or raw.get("validation_split")
    # A task that says 0 itself takes no examples, whatever ``shots`` says: so does the harness.
    none = raw.get("num_fewshot") == 0
    return _Examples(
        splits=() if none else (str(named),) if named else _list_splits(raw, where),
        rows=() if none or split else tuple(samples),
        order="first" if sampler == "first_n" else "random",
        # The harness compares the two settings, also where neither is set.
        exclude_item=split == raw.get("test_split"),
        templates={**raw, **fewshot},
    )


@dataclass(frozen=True)
class _PythonFunction:
    """A value that names code, which is not run; a file that includes it may name another value."""

    name: str
    line: int


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Plain YAML; a tag such as ``!function`` names code, which is not run."""


def _note_function(loader: yaml.SafeLoader, node: yaml.Node) -> _PythonFunction:
    return _PythonFunction(str(getattr(node, "value", "")), node.start_mark.line + 1)


_Loader.add_constructor("!function", _note_function)


def _refuse_functions(raw: Any, where: str) -> None:
    """Code anywhere in the keys that are left after the includes."""
    if isinstance(raw, _PythonFunction):
        raise SuiteError(
            f"!function {raw.name} names Python code, which is not run",
            where=f"{where}, line {raw.line}",
            next_step="include the file in one that gives the key another value or null; " + HELP,
        )
    inner = raw.values() if isinstance(raw, Mapping) else raw if isinstance(raw, list) else ()
    for value in inner:
        _refuse_functions(value, where)


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
        text = read_text_file(path)
        raw = tomllib.loads(text) if path.suffix == ".toml" else yaml.load(text, _Loader)
        measure_value(raw, {})
    except RecursionError:
        what = "cannot be read: lists or tables in one another without end"
        raise SuiteError(what, where=str(path), next_step=HELP) from None
    except (OSError, ValueError, OverflowError, yaml.YAMLError) as error:  # also what is not UTF-8
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
    listed = raw.get("metric_list") or [
        {"metric": name}
        for name in METRICS[output][: 3 if output == "loglikelihood_rolling" else 2]
    ]
    names = [str(entry.get("metric")) for entry in listed]
    for name in names:
        if name not in METRICS[output]:
            raise SuiteError(
                f"the metric {name!r} is not known for {output}", where=where, next_step=HELP
            )
    for entry in listed:
        usual = _AGGREGATIONS.get(str(entry.get("metric")), "mean")
        if entry.get("aggregation", usual) != usual:
            raise SuiteError(
                f"{entry['metric']} is aggregated by {usual} alone", where=where, next_step=HELP
            )
    return tuple(names)
