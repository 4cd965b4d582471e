"""Pieces of queries over outcomes: whose answer a row is, what it failed, how it changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Integer, and_, case, cast, false, func, literal, null, or_

from residency.store.item_filter import CheckNumbers, ItemFilter


def is_answer_of(table: Any, rows: Any, model: str, item_filter: ItemFilter) -> ColumnElement[bool]:
    """Whether a row is a model's outcome on the item, as the filter's scopes judged it."""
    return and_(
        table.c.model == model,
        table.c.scope.in_(item_filter.scopes),
        table.c.example == rows.c.example,
    )


def holds_number(column: Any, numbers: Collection[int]) -> ColumnElement[bool]:
    """Whether a written list of numbers holds one of these."""
    return or_(false(), *[column.contains(f",{number},") for number in sorted(numbers)])


def says_failed(table: Any, numbers: CheckNumbers) -> ColumnElement[Any]:
    """1 where an answer fails, 0 where it passes, nothing where it could not be scored."""
    return case(
        (holds_number(table.c.failed, numbers.failed), 1),
        (holds_number(table.c.repeated, numbers.passed), 0),
        else_=null(),
    )


def count_numbers(column: Any) -> ColumnElement[Any]:
    """How many numbers stand in ``,3,17,``."""
    commas = func.length(column) - func.length(func.replace(column, ",", ""))
    return cast(case((column == "", 0), else_=commas - 1), Integer)


def has_change(fails: Sequence[ColumnElement[Any]], change: str) -> ColumnElement[bool]:
    """Whether the first answer and the last changed so; ``fails`` by model: 1, 0, or nothing."""
    if len(fails) < 2:
        return false()
    first, last = func.coalesce(*fails), func.coalesce(*reversed(fails))
    answered: ColumnElement[Any] = literal(0)
    for each in fails:
        answered = answered + case((each.is_(None), 0), else_=1)
    wanted = {"fixed": (1, 0), "broken": (0, 1), "failing": (1, 1), "ok": (0, 0)}.get(change)
    if wanted is None:
        return false()
    return and_(answered >= 2, first == wanted[0], last == wanted[1])
