"""Figures that a run left behind, typed: read from the store's JSON, whatever version wrote it.

A field that an older version did not write keeps its default.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

Figures = TypeVar("Figures")


def read_figures(kind: type[Figures], body: Mapping[str, Any]) -> Figures:
    """The fields of a dataclass that a body has."""
    names = _name_fields(kind)  # type: ignore[arg-type]
    return kind(**{name: body[name] for name in names if name in body})


@cache
def _name_fields(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))
