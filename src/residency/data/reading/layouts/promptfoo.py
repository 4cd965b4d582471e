"""promptfoo's tests, CSV or YAML: ``promptfoo``."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from residency.data.reading.clean_text import RowError, clean_text, is_missing, write_value
from residency.data.reading.layouts.layout import Layout, LayoutRow, RowFields
from residency.files.record import Record
from residency.nouns.example import Message

_ASSERTION = re.compile(r"^([a-z][a-z-]*)(?:\([^)]*\))?:\s*(.*)$", re.DOTALL)
_EXACT = ("equals", "similar", "icontains", "contains", "starts-with")
"""Assertions whose value is an answer, or a part of one."""
_MOST_TESTS = 10_000
"""Combinations of the listed values of one test's variables."""
_VARIABLE = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")


class PromptfooLayout(Layout):
    """Variables and what the answer is expected to be."""

    name = "promptfoo"
    about = "promptfoo's tests: variables as the prompt, `__expected` or an `equals` assertion as answer"

    def fits_row(self, row: RowFields) -> bool:
        """A column ``__expected``, or variables with assertions."""
        values = row.values
        return any(str(key).startswith("__expected") for key in values) or (
            isinstance(values.get("vars"), Mapping) and ("assert" in values or "prompt" in values)
        )

    def join_records(self, records: Iterator[Record]) -> Iterator[Record]:
        """A test whose variables are lists is a test for every combination, as in promptfoo."""
        for record in records:
            variables = (record.values or {}).get("vars")
            lists = (
                {k: v for k, v in variables.items() if isinstance(v, list) and v}
                if isinstance(variables, Mapping)
                else {}
            )
            if not lists or record.values is None or not isinstance(variables, Mapping):
                yield record
            elif math.prod(map(len, lists.values())) > _MOST_TESTS:
                yield Record(record.line, None, f"more than {_MOST_TESTS} combinations", "vars")
            else:
                for chosen in itertools.product(*lists.values()):
                    filled = {**variables, **dict(zip(lists, chosen, strict=True))}
                    yield Record(record.line, {**record.values, "vars": filled})

    def read_row(self, row: RowFields) -> LayoutRow:
        """The prompt with its variables filled in; the expected answer."""
        values = row.values
        variables = values.get("vars")
        if not isinstance(variables, Mapping):
            variables = {k: v for k, v in values.items() if not str(k).startswith("__")}
        texts = {
            str(name): clean_text(write_value(value), str(name))
            for name, value in variables.items()
            if not is_missing(value)
        }
        if not texts:
            raise RowError("no variable is filled in", "vars")
        prompt = _fill_prompt(values.get("prompt"), texts)
        answer = _fill_variables(_read_expected(values), texts)
        user = Message("user", row.instruction, input=prompt) if row.instruction else None
        turns = (Message("assistant", answer),) if answer.strip() else ()
        return LayoutRow((user or Message("user", prompt), *turns))


def _fill_prompt(template: Any, texts: Mapping[str, str]) -> str:
    """The template with its variables; without one the only value, or a line a variable."""
    if isinstance(template, str) and _VARIABLE.search(template):
        return _fill_variables(clean_text(template, "prompt"), texts)
    if len(texts) == 1:
        return next(iter(texts.values()))
    return "\n".join(f"{name}: {text}" for name, text in texts.items())


def _fill_variables(text: str, texts: Mapping[str, str]) -> str:
    """The text with ``{{ names }}`` of variables filled in."""
    return _VARIABLE.sub(lambda match: texts.get(match[1], match[0]), text)


def _read_expected(values: Mapping[str, Any]) -> str:
    for key in values:
        if str(key).startswith("__expected") and not is_missing(values[key]):
            text = clean_text(str(values[key]), str(key))
            match = _ASSERTION.match(text)
            if match is None:
                return text
            if match[1] in _EXACT:
                return match[2]
    checks = values.get("assert")
    for check in checks if isinstance(checks, list) else ():
        if isinstance(check, Mapping) and check.get("type") in _EXACT:
            value = check.get("value")
            if isinstance(value, str | int | float):
                return clean_text(write_value(value), "assert")
    return ""
