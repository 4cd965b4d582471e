"""Long lists cut and counted by the database: items, an issue's items, two models on one split.

Queries here take one answer an item and model (``has_one_answer``); with several samples
the caller reduces them itself.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    JSON,
    ColumnElement,
    Select,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    null,
    or_,
    select,
)

from residency.nouns.example import Split
from residency.store import schema
from residency.store.database import Database, as_jsonb
from residency.store.item_filter import CheckNumbers, ItemFilter
from residency.store.outcome_conditions import (
    count_numbers,
    has_change,
    holds_number,
    is_answer_of,
    says_failed,
)

WrittenNumbers = tuple[str, str, str, str]
"""Check numbers as they are stored (``,3,17,``): failed and passed before, failed and passed after."""


class ChangedItem(NamedTuple):
    """An item before and after. ``change``: 0 fixed, 1 still failing, 2 broken, 3 passing, 4 unscored;
    answers by id."""

    example: str
    change: int
    before: str
    after: str
    other_failures: int


class ItemPages(Database):
    """Pages of items, and their counts."""

    def has_one_answer(self, model: str, scopes: Sequence[str]) -> bool:
        """Whether each item was answered by a model once at most, and judged under one scope."""
        table = schema.outcomes
        query = select(func.count(), func.count(table.c.example.distinct()))
        query = query.where(table.c.model == model, table.c.scope.in_(scopes))
        with self._read() as connection:
            rows, examples = connection.execute(query).one()
        return bool(rows == examples)

    # --- an issue's items ------------------------------------------------------------------

    def count_written_numbers(
        self, item_filter: ItemFilter, before: str, after: str
    ) -> list[tuple[WrittenNumbers, int]]:
        """Items that both models answered, by the check numbers of both answers."""
        _, then, now, query = self._pair(item_filter, before, after)
        written = (then.c.failed, then.c.repeated, now.c.failed, now.c.repeated)
        counted = query.with_only_columns(*written, func.count()).group_by(*written)
        with self._read() as connection:
            return [((r[0], r[1], r[2], r[3]), int(r[4])) for r in connection.execute(counted)]

    def paired_outcomes(
        self, item_filter: ItemFilter, before: str, after: str
    ) -> Iterator[tuple[str, str, str, WrittenNumbers]]:
        """Example, earlier and later response, and the written check numbers of both (failed, passed,
        failed, passed), of every item that both models answered, in the order of the data."""
        rows, then, now, query = self._pair(item_filter, before, after)
        query = query.with_only_columns(
            rows.c.example,
            then.c.response,
            now.c.response,
            then.c.failed,
            then.c.repeated,
            now.c.failed,
            now.c.repeated,
        ).order_by(rows.c.position)
        with self._read() as connection:
            for row in connection.execute(query):
                yield row[0], row[1], row[2], (row[3], row[4], row[5], row[6])

    def issue_page(
        self,
        item_filter: ItemFilter,
        before: str,
        after: str,
        numbers: CheckNumbers,
        *,
        change: int | None = None,
        fails_other: bool | None = None,
        offset: int = 0,
        limit: int = 10,
    ) -> list[ChangedItem]:
        """Some of an issue's items: by change, wholly right answers first, then as in the data.

        With both ``change`` and ``fails_other`` (whether the later answer fails another check) nothing
        is sorted, and reading ends with the last row that is wanted.
        """
        number, others, columns, query = self._changes(item_filter, before, after, numbers)
        page = query.with_only_columns(columns[0], number, columns[1], columns[2], others)
        if change is not None:
            page = page.where(number == change)
        order = [number, case((others > 0, 1), else_=0), columns[3]]
        if fails_other is not None:
            page = page.where(others > 0 if fails_other else others == 0)
            order = order if change is None else order[2:]
        page = page.order_by(*order).offset(offset).limit(limit)
        with self._read() as connection:
            return [ChangedItem(*row) for row in connection.execute(page)]

    def _changes(
        self, item_filter: ItemFilter, before: str, after: str, numbers: CheckNumbers
    ) -> tuple[ColumnElement[Any], ColumnElement[Any], list[ColumnElement[Any]], Select[Any]]:
        rows, then, now, query = self._pair(item_filter, before, after)
        was, bad = says_failed(then, numbers), says_failed(now, numbers)
        change = case(
            (or_(was.is_(None), bad.is_(None)), 4),
            (and_(was == 1, bad == 0), 0),
            (and_(was == 1, bad == 1), 1),
            (and_(was == 0, bad == 1), 2),
            else_=3,
        )
        others = count_numbers(now.c.failed)
        for number in sorted(numbers.failed):
            others = others - case((now.c.failed.contains(f",{number},"), 1), else_=0)
        columns = [rows.c.example, then.c.response, now.c.response, rows.c.position]
        return change, others, columns, query

    def _pair(
        self, item_filter: ItemFilter, before: str, after: str
    ) -> tuple[Any, Any, Any, Select[Any]]:
        rows = schema.run_examples.alias("r")
        then, now = schema.outcomes.alias("b"), schema.outcomes.alias("a")
        query = select(rows.c.example).select_from(
            rows.join(then, is_answer_of(then, rows, before, item_filter)).join(
                now, is_answer_of(now, rows, after, item_filter)
            )
        )
        return rows, then, now, query.where(self._fits(rows, item_filter))

    # --- items and what several models failed in them --------------------------------------

    def filter_items(
        self,
        item_filter: ItemFilter,
        models: Sequence[str],
        failed: Collection[int] | None,
        *,
        change: str = "",
        offset: int = 0,
        limit: int = 50,
    ) -> tuple[list[str], int]:
        """A page of items, in order, and how many fit.

        Args:
            failed: check numbers of which one of the models' answers holds one; None: no matter.
            change: ``fixed``, ``broken``, ``failing`` or ``ok`` between the first model that answered
                and the last; items that fewer than two answered have none.
        """
        rows = schema.run_examples.alias("r")
        source: Any = rows
        fails: list[ColumnElement[Any]] = []
        if failed is not None or change:
            for number, model in enumerate(models):
                table = schema.outcomes.alias(f"o{number}")
                source = source.outerjoin(table, is_answer_of(table, rows, model, item_filter))
                bad = (
                    table.c.failed != "" if failed is None else holds_number(table.c.failed, failed)
                )
                fails.append(case((table.c.response.is_(None), null()), (bad, 1), else_=0))
        query = select(rows.c.example).select_from(source).where(self._fits(rows, item_filter))
        if failed is not None:
            query = query.where(or_(*[each == 1 for each in fails]) if fails else false())
        if change:
            query = query.where(has_change(fails, change))
        page = query.order_by(rows.c.position).offset(offset).limit(limit)
        with self._read() as connection:
            total = connection.execute(select(func.count()).select_from(query.subquery())).scalar()
            return [str(row[0]) for row in connection.execute(page)], int(total or 0)

    def list_example_ids(self, item_filter: ItemFilter) -> list[str]:
        """Ids of the examples that fit, in no order; one query whatever their number."""
        rows = schema.run_examples.alias("r")
        with self._read() as connection:
            id_rows = connection.execute(
                select(rows.c.example).where(self._fits(rows, item_filter))
            )
            return [str(row[0]) for row in id_rows]

    def split_tags(self, run: str, split: Split) -> list[str]:
        """Every tag of a run's split, sorted."""
        rows = schema.run_examples
        tags = self._each_tag(rows)
        query = select(tags.c.value).select_from(rows.join(tags, literal(1) == 1))
        query = query.where(rows.c.run == run, rows.c.split == split).distinct()
        with self._read() as connection:
            return sorted(str(row[0]) for row in connection.execute(query))

    # --- answered items ------------------------------------------------------------------------

    def worst_answers(
        self, item_filter: ItemFilter, model: str, *, offset: int = 0, limit: int = 200
    ) -> list[tuple[str, str]]:
        """Items with the answer that fails most checks (ids), most failures first."""
        rows, answers = schema.run_examples.alias("r"), schema.outcomes.alias("o")
        failures = count_numbers(answers.c.failed)
        query = (
            select(rows.c.example, answers.c.response)
            .select_from(rows.join(answers, is_answer_of(answers, rows, model, item_filter)))
            .where(self._fits(rows, item_filter))
            .order_by(failures.desc(), rows.c.example)
            .offset(offset)
            .limit(limit)
        )
        with self._read() as connection:
            return [(str(e), str(r)) for e, r in connection.execute(query)]

    def count_judged(self, item_filter: ItemFilter, model: str) -> int:
        """Items that a model's answer was judged on."""
        rows, answers = schema.run_examples.alias("r"), schema.outcomes.alias("o")
        source = rows.join(answers, is_answer_of(answers, rows, model, item_filter))
        query = select(func.count()).select_from(source).where(self._fits(rows, item_filter))
        with self._read() as connection:
            return int(connection.execute(query).scalar_one())

    def count_answered(self, run: str, split: Split, model: str) -> int:
        """Items of a split that a model has answered, whether judged or not."""
        rows, answers = schema.run_examples, schema.responses
        query = (
            select(func.count(answers.c.example.distinct()))
            .select_from(answers.join(rows, rows.c.example == answers.c.example))
            .where(answers.c.model == model, rows.c.run == run, rows.c.split == split)
        )
        with self._read() as connection:
            return int(connection.execute(query).scalar_one())

    # --- pieces of queries -------------------------------------------------------------------

    def _fits(self, rows: Any, item_filter: ItemFilter) -> ColumnElement[bool]:
        fits = and_(rows.c.run == item_filter.run, rows.c.split == item_filter.split)
        if item_filter.tag:
            fits = and_(fits, self._has_tag(rows, item_filter.tag))
        if item_filter.members is not None:
            ids = json.dumps(item_filter.members)
            each: Any = (
                func.json_array_elements_text(cast(ids, JSON))
                if self.is_shared
                else func.json_each(ids)
            )
            fits = and_(fits, rows.c.example.in_(select(each.table_valued("value").c.value)))
        return fits

    def _has_tag(self, rows: Any, tag: str) -> ColumnElement[bool]:
        if self.is_shared:
            tagged: ColumnElement[bool] = as_jsonb(rows.c.body)["tags"].contains([tag])
            return tagged
        # most rows without it are passed over before their JSON is read
        written = json.dumps(tag, ensure_ascii=False)
        tags = self._each_tag(rows)
        return and_(
            rows.c.body.contains(written, autoescape=True),
            select(literal(1)).select_from(tags).where(tags.c.value == tag).exists(),
        )

    def _each_tag(self, rows: Any) -> Any:
        if self.is_shared:
            each: Any = func.jsonb_array_elements_text(as_jsonb(rows.c.body)["tags"])
            return each.table_valued("value").render_derived()
        return func.json_each(rows.c.body, "$.tags").table_valued("value")

    def _json_text(self, column: Any, key: str) -> ColumnElement[Any]:
        """A text of a row's JSON."""
        if self.is_shared:
            text: ColumnElement[Any] = as_jsonb(column)[key].astext
            return text
        return func.json_extract(column, f"$.{key}")
