"""JSON for programs: no infinities, no tuples, no dataclasses."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any


def to_jsonable(value: Any) -> Any:
    """JSON-able copy; a number that JSON cannot hold (an infinite MDE) becomes null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        if "id" not in fields and hasattr(value, "id"):
            fields = {"id": value.id, **fields}
        return to_jsonable(fields)
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_jsonable(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(to_jsonable(item) for item in value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
