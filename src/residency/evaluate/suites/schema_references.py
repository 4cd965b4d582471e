"""What the references of a JSON Schema lead to: a part inside it, and nowhere in a circle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

_DATA = ("enum", "const", "default", "examples")
"""Keywords whose value is data and no schema."""


def check_references(schema: dict[str, Any]) -> None:
    """Every reference of a schema leads to a part inside it, and no part of it waits for itself.

    Raises:
        ValueError: a reference leads to the network, to a file or nowhere; or a part of the schema is
            judged by itself on the same value, which says nothing.
    """
    resource = DRAFT202012.create_resource(schema)
    base = str(schema.get("$id", ""))
    resolver = Registry().with_resource(base, resource).resolver(base)
    targets: dict[str, Any] = {}
    for name, reference in _list_references(schema):
        try:
            targets[reference] = resolver.lookup(reference).contents
        except (Unresolvable, ValueError, AttributeError, TypeError):
            raise ValueError(
                f"{name} {reference!r} leads to no place inside the schema (nothing is fetched)"
            ) from None
    order: TopologicalSorter[int] = TopologicalSorter()
    for part in _list_parts([schema, *targets.values()]):
        order.add(id(part), *(id(inner) for inner in _list_same_value(part, targets)))
    try:
        order.prepare()
    except CycleError:
        raise ValueError(
            "a $ref leads in a circle: a part of the schema judges by itself"
        ) from None


def _list_parts(roots: Sequence[Any]) -> list[dict[str, Any]]:
    """Every object in a schema, once; what stands as data (enum, const …) is left out."""
    parts: dict[int, dict[str, Any]] = {}
    nodes = list(roots)
    while nodes:
        inner = nodes.pop()
        if isinstance(inner, list):
            nodes.extend(inner)
        elif isinstance(inner, dict) and id(inner) not in parts:
            parts[id(inner)] = inner
            nodes.extend(value for key, value in inner.items() if key not in _DATA)
    return list(parts.values())


def _list_same_value(part: dict[str, Any], targets: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The schemas that judge the same value as ``part`` does, and not a part of the value."""
    inner_schemas: list[Any] = [targets.get(str(part.get(key))) for key in ("$ref", "$dynamicRef")]
    inner_schemas += [part.get(key) for key in ("not", "if", "then", "else")]
    for key in ("allOf", "anyOf", "oneOf"):
        inner_schemas += part[key] if isinstance(part.get(key), list) else []
    if isinstance(several := part.get("dependentSchemas"), dict):
        inner_schemas += several.values()
    yield from (inner for inner in inner_schemas if isinstance(inner, dict))


def _list_references(node: Any) -> Iterator[tuple[str, str]]:
    """Keyword and value of every reference; what stands as data (enum, const …) is none."""
    for part in _list_parts([node]):
        for key in ("$ref", "$dynamicRef"):
            if isinstance(part.get(key), str):
                yield key, part[key]
