"""Rule: the answer is JSON and valid against a JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, ClassVar

import jsonschema
from pydantic import Field, field_validator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from residency.evaluate.suites.check_result import (
    Check,
    Item,
    fail_check,
    leave_unscored,
    pass_check,
)
from residency.evaluate.suites.format_kind import FORMAT
from residency.evaluate.suites.rule import Rule
from residency.text.json_answers import UnjudgeableJsonError, read_json, strip_fence

MAX_MESSAGE = 300
"""Characters of one of the validator's messages, which repeat the value."""


class JsonSchema(Rule):
    """The answer is JSON and valid against a JSON Schema (draft 2020-12).

    The schema speaks for itself: a ``$ref`` that leads out of it, to the network or a file, is
    refused when the suite is read.
    """

    NAME: ClassVar[str] = "json_schema"
    KIND: ClassVar[str] = FORMAT
    VERSION: ClassVar[int] = 3

    json_schema_: dict[str, Any] = Field(alias="schema")
    fence: bool = True
    """Read the JSON inside a Markdown fence; ``false``: a fence is a breach of the form."""

    @field_validator("json_schema_")
    @classmethod
    def _check_schema(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            jsonschema.Draft202012Validator.check_schema(value)
            check_references(value)
        except jsonschema.SchemaError as error:
            raise ValueError(f"not a JSON Schema: {error.message}") from None
        except RecursionError:
            raise ValueError("not a JSON Schema that can be used: nested too deep") from None
        return value

    @cached_property
    def _validator(self) -> Any:
        return jsonschema.Draft202012Validator(self.json_schema_, registry=Registry())

    def check(self, item: Item) -> Iterable[Check]:
        whole = item.span(0, len(item.text))
        body, _ = strip_fence(item.text) if self.fence else (item.text, 0)
        try:
            value = read_json(body)
            errors = sorted(
                self._validator.iter_errors(value), key=lambda e: list(map(str, e.path))
            )
        except UnjudgeableJsonError as error:
            yield leave_unscored(str(error))
            return
        except json.JSONDecodeError as error:
            yield fail_check(f"not JSON: {error}", whole, final=False)
            return
        except RecursionError:
            yield leave_unscored("the schema leads in a circle on this answer")
            return
        if errors:
            messages = [f"{_path_of(e)}: {e.message[:MAX_MESSAGE]}" for e in errors[:3]]
            # Only a number can become another valid value by going on.
            final = isinstance(value, bool) or not isinstance(value, int | float)
            yield fail_check("; ".join(messages), whole, value=float(len(errors)), final=final)
        else:
            yield pass_check(final=False)


def check_references(schema: dict[str, Any]) -> None:
    """Every reference of a schema leads to a place inside it.

    Raises:
        ValueError: one leads to the network, to a file or nowhere, or is a circle of references.
    """
    resource = DRAFT202012.create_resource(schema)
    base = str(schema.get("$id", ""))
    resolver = Registry().with_resource(base, resource).resolver(base)
    targets: dict[str, str] = {}
    for name, reference in _list_references(schema):
        try:
            target = resolver.lookup(reference).contents
        except (Unresolvable, ValueError, AttributeError, TypeError):
            raise ValueError(
                f"{name} {reference!r} leads to no place inside the schema (nothing is fetched)"
            ) from None
        if isinstance(target, dict) and isinstance(target.get("$ref"), str):
            targets[reference] = target["$ref"]
    for start in targets:
        seen, at = set(), start
        while at in targets:
            if at in seen:
                raise ValueError(f"$ref {start!r} leads in a circle")
            seen.add(at)
            at = targets[at]


def _list_references(node: Any) -> Iterator[tuple[str, str]]:
    """Keyword and value of every reference; what stands as data (enum, const …) is none."""
    nodes = [node]
    while nodes:
        inner = nodes.pop()
        if isinstance(inner, list):
            nodes.extend(inner)
        elif isinstance(inner, dict):
            for key, value in inner.items():
                if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                    yield key, value
                elif key not in ("enum", "const", "default", "examples"):
                    nodes.append(value)


def _path_of(error: Any) -> str:
    return "/".join(map(str, error.absolute_path)) or "the whole"
