"""Rule: the answer is JSON and valid against a JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property
from typing import Any, ClassVar

import jsonschema_rs
from pydantic import Field, field_validator

from residency.evaluate.suites.check_result import (
    Check,
    Item,
    fail_check,
    leave_unscored,
    pass_check,
    raised_check,
)
from residency.evaluate.suites.format_kind import FORMAT
from residency.evaluate.suites.rule import Rule
from residency.evaluate.suites.schema_references import check_references
from residency.text.json_answers import UnjudgeableJsonError, read_json, strip_fence

MAX_MESSAGE = 300
"""Characters of one of the validator's messages, which repeat the value."""
MAX_BACKTRACKS = 100_000
"""Steps back that a pattern may take on one text; ``^(a+)+$`` would take hours on forty letters."""
MAX_PATTERN = 10_000_000
"""Bytes of a compiled pattern; ``(a{1000}){1000}`` would take gigabytes."""
TOO_SLOW = (
    jsonschema_rs.ValidationErrorKind.BacktrackLimitExceeded,
    jsonschema_rs.ValidationErrorKind.RegexEngineFailure,
)
"""Errors of the schema's patterns, not of the answer."""


class JsonSchema(Rule):
    """The answer is JSON and valid against a JSON Schema (draft 2020-12).

    The schema speaks for itself: a ``$ref`` that leads out of it, to the network or a file, is
    refused when the suite is read. Patterns are those of the standard (ECMA-262); ``multipleOf``
    counts decimals exactly.
    """

    NAME: ClassVar[str] = "json_schema"
    KIND: ClassVar[str] = FORMAT
    VERSION: ClassVar[int] = 4

    json_schema_: dict[str, Any] = Field(alias="schema")
    fence: bool = True
    """Read the JSON inside a Markdown fence; ``false``: a fence is a breach of the form."""

    @field_validator("json_schema_")
    @classmethod
    def _check_schema(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            check_references(value)
            build_validator(value)
        except jsonschema_rs.ValidationError as error:
            raise ValueError(f"not a JSON Schema: {error.message[:MAX_MESSAGE]}") from None
        except RecursionError:
            raise ValueError("not a JSON Schema that can be used: nested too deep") from None
        return value

    @cached_property
    def _validator(self) -> Any:
        return build_validator(self.json_schema_)

    def check(self, item: Item) -> Iterable[Check]:
        whole = item.span(0, len(item.text))
        body, _ = strip_fence(item.text) if self.fence else (item.text, 0)
        try:
            value = read_json(body)
            errors = self._list_errors(value)
        except UnjudgeableJsonError as error:
            yield leave_unscored(str(error))
            return
        except json.JSONDecodeError as error:
            yield fail_check(f"not JSON: {error}", whole, final=False)
            return
        slow = next((e for e in errors if isinstance(e.kind, TOO_SLOW)), None)
        if slow is not None:
            reason = f"a pattern of the schema takes too long: {slow.message}"
            yield raised_check(self.detector, TimeoutError(reason), kind=self.default_kind)
            return
        if errors:
            messages = [f"{_path_of(e)}: {e.message[:MAX_MESSAGE]}" for e in errors[:3]]
            # Only a number can become another valid value by going on.
            final = isinstance(value, bool) or not isinstance(value, int | float)
            yield fail_check("; ".join(messages), whole, value=float(len(errors)), final=final)
        else:
            yield pass_check(final=False)

    def _list_errors(self, value: Any) -> list[Any]:
        """What the validator holds against a value, in the order of its parts."""
        try:
            errors = list(self._validator.iter_errors(value))
        except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write as \\ud800
            text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
            errors = list(self._validator.iter_errors(json.loads(text)))
        return sorted(errors, key=lambda error: list(map(str, error.instance_path)))


def build_validator(schema: dict[str, Any]) -> Any:
    """A validator that fetches nothing; patterns run in linear time unless they look around.

    Raises:
        jsonschema_rs.ValidationError: this is no JSON Schema.
    """
    linear = jsonschema_rs.RegexOptions(size_limit=MAX_PATTERN)
    bounded = jsonschema_rs.FancyRegexOptions(
        backtrack_limit=MAX_BACKTRACKS, size_limit=MAX_PATTERN
    )
    try:
        return jsonschema_rs.Draft202012Validator(
            schema, pattern_options=linear, retriever=_refuse_fetch
        )
    except jsonschema_rs.ValidationError:
        return jsonschema_rs.Draft202012Validator(
            schema, pattern_options=bounded, retriever=_refuse_fetch
        )


def _refuse_fetch(address: str) -> Any:
    raise ValueError(f"{address} is outside the schema, and nothing is fetched")


def _path_of(error: Any) -> str:
    return "/".join(map(str, error.instance_path)) or "the whole"
