"""promptfoo's tests, CSV or YAML: ``promptfoo``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from residency.data.reading.clean_text import RowError, clean_text, is_missing
from residency.data.reading.layouts.layout import Layout, LayoutRow, RowFields
from residency.nouns.example import Message

_ASSERTION = re.compile(r"^([a-z][a-z-]*)(?:\([^)]*\))?:\s*(.*)$", re.DOTALL)
_EXACT = ("equals", "similar", "icontains", "contains", "starts-with")
"""Assertions whose value is an answer, or a part of one."""
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

    def read_row(self, row: RowFields) -> LayoutRow:
        """The prompt with its variables filled in; the expected answer."""
        values = row.values
        variables = values.get("vars")
        if not isinstance(variables, Mapping):
            variables = {k: v for k, v in values.items() if not str(k).startswith("__")}
        texts = {
            str(name): clean_text(str(value), str(name))
            for name, value in variables.items()
            if not is_missing(value)
        }
        if not texts:
            raise RowError("no variable is filled in", "vars")
        prompt = _fill_prompt(values.get("prompt"), texts)
        answer = _read_expected(values)
        user = Message("user", row.instruction, input=prompt) if row.instruction else None
        turns = (Message("assistant", answer),) if answer.strip() else ()
        return LayoutRow((user or Message("user", prompt), *turns))


def _fill_prompt(template: Any, texts: Mapping[str, str]) -> str:
    """The template with its variables; without one the only value, or a line a variable."""
    if isinstance(template, str) and _VARIABLE.search(template):
        return _VARIABLE.sub(
            lambda match: texts.get(match[1], match[0]), clean_text(template, "prompt")
        )
    if len(texts) == 1:
        return next(iter(texts.values()))
    return "\n".join(f"{name}: {text}" for name, text in texts.items())


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
                return clean_text(str(value), "assert")
    return ""
