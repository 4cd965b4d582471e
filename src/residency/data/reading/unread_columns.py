"""Columns that are not read and change what the rows are worth: told by what they hold, not by name alone."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from residency.data.reading.column_paths import WITHIN, list_values
from residency.data.reading.ratings import read_number
from residency.text.counts import write_count

_KEPT_OUT = re.compile(
    r"(test|dev|val|valid|validation|eval|holdout|held.?out)(uation)?", re.IGNORECASE
)
_SPLITS = ("split", "subset", "partition", "fold", "set")
_BETTER = re.compile(
    r"(?:corrected|edited|revised|improved|better|fixed|rewritten|preferred|gold|final)(?:_(?:response|answer|output"
    r"|completion|text|version|reply|content))?|correction|edit|revision|rewrite"
)
_CUT = ("length", "max_tokens", "max_output_tokens", "MAX_TOKENS")
_ENDINGS = ("finish_reason", "stop_reason", "finishreason", "stopreason", "finish")
_BOTH_RATED = re.compile(r"(.*?)(chosen)(.*)")


def describe_unread(rows: Sequence[Mapping[str, Any]], unused: Sequence[str]) -> Iterator[str]:
    """Of each such column, what it says of the rows, and what to do."""
    for column in unused:
        name = re.sub(r"[\s-]", "_", column.rpartition(WITHIN)[2].strip().lower())
        values = [value for row in rows for value in list_values(row, column)]
        if name in _SPLITS:
            out = sorted({str(v) for v in values if _KEPT_OUT.fullmatch(str(v).strip())})
            if out and len(set(map(str, values))) > 1:
                yield (
                    f"{column} holds {', '.join(out)} beside others and is not read: rows that it keeps for "
                    "measuring are used like the rest; write a file a split and name each where it belongs"
                )
        elif name in _ENDINGS:
            cut = sum(str(value) in _CUT for value in values)
            if cut:
                yield (
                    f"{column} says of {cut} of the first {write_count(len(values), 'answer')} that their length "
                    "was cut: a model learns to stop where they do; leave them out"
                )
        elif _BETTER.fullmatch(name) and any(_is_text(value) for value in values):
            step = "" if WITHIN in column else f": --column {shlex.quote(f'response={column}')}"
            yield f"{column} holds texts and is not read: if they are the better answers, train them{step}"
    yield from _describe_turned_pairs(rows, unused)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value.split()) > 1


def _describe_turned_pairs(
    rows: Sequence[Mapping[str, Any]], unused: Sequence[str]
) -> Iterator[str]:
    """Pairs whose worse answer is rated higher than the better one."""
    for column in unused:
        match = _BOTH_RATED.fullmatch(column)
        other = f"{match[1]}rejected{match[3]}" if match else ""
        if other not in unused:
            continue
        rated = [(read_number(row.get(column)), read_number(row.get(other))) for row in rows]
        turned = sum(a is not None and b is not None and a < b for a, b in rated)
        if turned:
            yield (
                f"{column} is below {other} in {turned} of the first {write_count(len(rows), 'row')}, and neither is "
                "read: their worse answers are rated higher; leave them out, or exchange the two"
            )
