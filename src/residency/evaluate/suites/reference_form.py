"""The form of a reference, by which the default suite chooses how answers are compared."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from residency.text.answer_fields import find_fields, parse_answer
from residency.text.lone_values import find_lone_value

ReferenceForm = Literal["", "json", "list", "fields", "query", "worked", "text"]
"""A JSON object; a JSON array; ``key: value`` lines without prose; a query in SQL; a worked solution that ends
on its marked number (``#### 18``, ``\\boxed{18}``); anything else."""

_QUERY = re.compile(
    r"\s*(?:```(?:sql)?\s*)?(?:with\b.{1,4000}?\bselect\b|select\b.{1,4000}?\bfrom\b|insert\s+into\b"
    r"|update\b.{1,400}?\bset\b|delete\s+from\b|create\s+(?:table|view|index)\b)",
    re.IGNORECASE | re.DOTALL,
)
_PROSE = re.compile(r"[^=()*;_<>]*[.!?]\s*")
_WORKED = re.compile(
    r"(?:####\s*[-+−]?[$€£]?\d[\d.,]*|\\boxed\{\s*[-+−]?\d[\d.,]*\s*\}\$*\.?)\s*\Z"
)


@lru_cache(maxsize=8192)
def find_form(reference: str) -> ReferenceForm:
    """What form a reference has."""
    if reference.lstrip().startswith(("{", "```")) and parse_answer(reference, "json").fields:
        return "json"
    if find_lone_value(reference) == "list":
        return "list"
    if _WORKED.search(reference[-200:]):
        return "worked"
    if _QUERY.match(reference) and not _PROSE.fullmatch(reference):
        return "query"
    fields = find_fields(reference)
    if fields and not any(field.is_prose for field in fields.values()):
        return "fields"
    return "text"
