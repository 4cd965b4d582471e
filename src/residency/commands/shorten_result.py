"""A result of a command made short enough for a reader with little room; it says what was cut."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

HEAVY = (
    "by_item",
    "slices",
    "shown",
    "settings",
    "histogram",
    "members",
    "examples_shown",
    "sides",
)
"""Fields that a summary does without."""
_LONGEST_TEXT = 2000


def shorten_result(body: Mapping[str, Any], most: int) -> dict[str, Any]:
    """The body, within ``most`` characters of JSON where that can be: indented, as tools send it.

    Heavy fields go first; then lists are cut to fewer and fewer rows and texts to fewer letters; at last
    the largest fields go, named in ``left_out``.
    ``shortened`` tells what was done, and is not there where nothing was.
    """
    whole = dict(body)
    if _count_characters(whole) <= most:
        return whole
    for rows in (200, 50, 20, 8, 5, 3, 1):
        letters = _LONGEST_TEXT if rows > 8 else 200
        short = {
            key: _cut(value, rows, letters) for key, value in whole.items() if key not in HEAVY
        }
        short["shortened"] = (
            f"without {', '.join(HEAVY)}; lists have at most {rows} rows and texts {letters} letters; "
            "residency COMMAND --json prints all"
        )
        if _count_characters(short) <= most:
            return short
    return _drop_largest(short, most)


def _drop_largest(short: dict[str, Any], most: int) -> dict[str, Any]:
    """A shortened body without its largest fields, as many as must go, which are named."""
    sizes = {key: len(json.dumps(value, ensure_ascii=False)) for key, value in short.items()}
    dropped: list[str] = []
    for key in sorted(sizes.keys() - {"schema", "shortened"}, key=lambda key: -sizes[key]):
        del short[key]
        dropped.append(key)
        short["left_out"] = dropped
        if _count_characters(short) <= most:
            break
    return short


def _count_characters(body: Mapping[str, Any]) -> int:
    return len(json.dumps(body, ensure_ascii=False, indent=2))


def _cut(value: Any, rows: int, letters: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= letters else value[: letters - 1] + "…"
    if isinstance(value, list):
        cut = [_cut(item, rows, letters) for item in value[:rows]]
        return [*cut, f"… {len(value) - rows} more"] if len(value) > rows else cut
    if isinstance(value, Mapping):
        fields = [(k, v) for k, v in value.items() if k not in HEAVY]
        cut_map = {k: _cut(v, rows, letters) for k, v in fields[: max(rows, 40)]}
        if len(fields) > max(rows, 40):
            cut_map["…"] = f"{len(fields) - max(rows, 40)} more"
        return cut_map
    return value
