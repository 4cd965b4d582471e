"""A row of a benchmark as a question, by the templates of a task file (Jinja, in a sandbox)."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import regex
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from residency.evaluate.benchmarks.task import Question, Row

SECONDS = 1.0
"""Longest search of a pattern in one text."""
_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)


def _replace_pattern(text: str, pattern: str, repl: str, count: int = 0) -> str:
    return str(regex.compile(pattern).sub(repl, text, count=count, timeout=SECONDS))


_ENVIRONMENT.filters["regex_replace"] = _replace_pattern


def read_row(raw: Mapping[str, Any], output: str, where: str, row: Row) -> Question:
    """One row as a question.

    Args:
        raw: the task file's keys. output: its type.

    Raises:
        ValueError: a template fails on it, or the answer is none of the choices.
    """
    try:
        text = _fill_template(raw["doc_to_text"], row)
        target = _fill_target(raw, row)
        prefix = _fill_template(raw["gen_prefix"], row) if raw.get("gen_prefix") else ""
        listed = raw.get("doc_to_choice")
        choices = None if listed is None else _fill_choices(listed, row)
    except (TemplateError, SyntaxError, TimeoutError, regex.error) as error:
        raise ValueError(f"{where}: {error}") from None
    if isinstance(text, int) and choices is not None:
        raise ValueError("doc_to_text gives a number: questions that differ by choice are not read")
    text, prefix = str(text), str(prefix)
    if output == "generate_until":
        return _read_written(text, prefix, target, choices)
    if choices is None or output != "multiple_choice":
        return Question(text, (str(target),), 0, prefix=prefix)
    gold = target if isinstance(target, int) else choices.index(str(target))
    if not 0 <= gold < len(choices):
        raise ValueError(f"the answer {gold} is none of {len(choices)} choices")
    return Question(text, choices, gold, prefix=prefix)


def _read_written(text: str, prefix: str, target: Any, choices: tuple[str, ...] | None) -> Question:
    """A question whose answer is written; its target is a text, a choice's number, or a list."""
    many = isinstance(target, Sequence) and not isinstance(target, str)
    if choices is not None and isinstance(target, int):
        target = choices[target]
    targets = tuple(str(one) for one in target) if many else (str(target),)
    if not targets:
        raise ValueError("the row has no right answer")
    return Question(text, (targets[0],), 0, prefix=prefix, targets=targets, many=many)


def fill_description(template: str, row: Row) -> str:
    """The description for a row.

    Raises:
        ValueError: the template fails on it.
    """
    try:
        return str(_fill_template(template, row))
    except (TemplateError, TimeoutError, regex.error) as error:
        raise ValueError(f"description: {error}") from None


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
    if isinstance(value, str) and len(value) >= 2 and value[0] == "[" and value[-1] == "]":
        try:
            return ast.literal_eval(value)
        except (SyntaxError, ValueError):
            return value
    return value


def _fill_choices(template: Any, row: Row) -> tuple[str, ...]:
    if isinstance(template, Mapping):
        return tuple(map(str, template.values()))
    if isinstance(template, Sequence) and not isinstance(template, str):
        return tuple(map(str, template))
    value = _fill_template(template, row)
    listed = ast.literal_eval(value) if isinstance(value, str) else value
    return tuple(map(str, listed))
