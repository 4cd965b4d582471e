"""Damaged inputs, the same for the same seed: bytes flipped and cut, JSON values replaced."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 2**70, 1e308, float("nan"), "", "\x00", "../../etc/passwd", "é" * 40, [], {},
    [[]], {"a": {"a": {"a": 1}}}, "9" * 400, "{{", "\ud800",
)  # fmt: skip


def mutate_bytes(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """``count`` damaged copies: flipped bits, cut ends, pieces repeated, removed or zeroed."""
    draw = random.Random(seed)
    for _ in range(count):
        copy = bytearray(data)
        for _ in range(draw.choice((1, 1, 2, 8))):
            at = draw.randrange(len(copy) or 1)
            size = min(draw.choice((1, 2, 7, 64)), max(len(copy) - at, 0))
            how = draw.randrange(5)
            if not size:
                continue
            if how == 0:
                copy[at] ^= 1 << draw.randrange(8)
            elif how == 1:
                del copy[at:]
            elif how == 2:
                copy[at : at + size] = copy[at : at + size] * 3
            elif how == 3:
                del copy[at : at + size]
            else:
                copy[at : at + size] = bytes(draw.randrange(256) for _ in range(size))
        yield bytes(copy)


def list_paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the values of a JSON tree stand."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from list_paths(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from list_paths(inner, (*path, at))


def mutate_json(value: Any, count: int, seed: int) -> Iterator[Any]:
    """``count`` copies of a JSON tree with a value replaced, removed or added."""
    draw = random.Random(seed)
    paths = [path for path in list_paths(value) if path]
    for _ in range(count):
        copy = json.loads(json.dumps(value))
        for _ in range(draw.choice((1, 1, 2))):
            *way, last = draw.choice(paths)
            try:
                inner = copy
                for step in way:
                    inner = inner[step]
                how = draw.randrange(4)
                if how == 0 and isinstance(inner, dict):
                    del inner[last]
                elif how == 1 and isinstance(inner, dict):
                    inner[f"{last}x"] = draw.choice(STRANGE)
                else:
                    inner[last] = draw.choice(STRANGE)
            except (KeyError, IndexError, TypeError):
                continue  # an earlier change took the way there
        yield copy
