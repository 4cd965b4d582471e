"""Runs, their examples, dataset versions and models."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import func, select

from residency.nouns.content_id import canonical_json
from residency.nouns.dataset_version import DatasetVersion
from residency.nouns.example import Example, Split
from residency.nouns.model import Model
from residency.store import schema
from residency.store.database import Database, as_jsonb, chunked, insert_missing, write_time
from residency.store.record_kind import RecordKind
from residency.store.stored_bodies import read_dataset, read_model

MOST_FITTING = 50
"""Ids that the beginning of one is compared with; more are not told apart by it."""


class RunTables(Database):
    """What a run works on, and the models it made."""

    # --- runs ------------------------------------------------------------------------------

    def add_run(self, run: str, body: Mapping[str, Any]) -> None:
        """A run: one fingerprint of data and settings."""
        row = {"id": run, "started_at": write_time(), "body": canonical_json(body)}
        self._insert(schema.runs, [row])

    def latest_run(self) -> str | None:
        """The run that was worked on last."""
        table = schema.records
        query = select(table.c.key).where(table.c.kind == RecordKind.RUN_OPENED)
        with self._read() as connection:
            run = connection.execute(query.order_by(table.c.id.desc()).limit(1)).scalar()
        return str(run) if run is not None else None

    def runs(self) -> list[str]:
        """Ids of every run, oldest first."""
        table = schema.runs
        with self._read() as connection:
            rows = connection.execute(select(table.c.id).order_by(table.c.started_at, table.c.id))
            return [str(row[0]) for row in rows]

    def run(self, run: str) -> dict[str, Any]:
        """What a run was started with."""
        return self._body_of(schema.runs, run, "run")

    # --- examples --------------------------------------------------------------------------

    def add_corpus(self, run: str, examples: Iterable[Example]) -> None:
        """The examples of a run, in order, split by split."""
        sizes: dict[str, int] = {}
        links, bodies = [], []
        for example in examples:
            body = canonical_json(example.to_dict())
            position = sizes.get(example.split, 0)
            sizes[example.split] = position + 1
            bodies.append({"id": example.id, "body": body})
            links.append(
                {
                    "run": run,
                    "split": example.split,
                    "position": position,
                    "example": example.id,
                    "body": body,
                }
            )
        if links:
            with self._write() as connection:
                insert_missing(connection, schema.examples, bodies)
                insert_missing(connection, schema.run_examples, links)

    def has_corpus(self, run: str) -> bool:
        """Whether the examples of a run are stored."""
        table = schema.run_examples
        with self._read() as connection:
            query = select(table.c.position).where(table.c.run == run).limit(1)
            return connection.execute(query).first() is not None

    def corpus(
        self, run: str, split: Split | None = None, *, offset: int = 0, limit: int | None = None
    ) -> list[Example]:
        """A run's examples, in order.

        Args:
            offset, limit: a part of one split.
        """
        table = schema.run_examples
        query = select(table.c.body).where(table.c.run == run)
        if split:
            query = query.where(table.c.split == split)
        query = query.order_by(table.c.split, table.c.position).offset(offset).limit(limit)
        return [Example.from_dict(body) for body in self._bodies(query)]

    def search_corpus(
        self, run: str, split: Split, text: str = "", *, offset: int = 0, limit: int = 50
    ) -> tuple[list[Example], int]:
        """A run's rows of a split that hold a text anywhere (case does not matter), and how many.

        Args:
            text: looked for as it is, in messages, tags and source; empty takes every row.
        """
        table = schema.run_examples
        query = select(table.c.body).where(table.c.run == run, table.c.split == split)
        if text:
            written = json.dumps(text, ensure_ascii=False)[1:-1]
            query = query.where(table.c.body.icontains(written, autoescape=True))
        count = select(func.count()).select_from(query.subquery())
        query = query.order_by(table.c.position).offset(offset).limit(limit)
        with self._read() as connection:
            total = int(connection.execute(count).scalar_one())
        return [Example.from_dict(body) for body in self._bodies(query)], total

    def corpus_ids(self, run: str, split: Split) -> list[str]:
        """Ids of a run's examples, in order."""
        table = schema.run_examples
        query = select(table.c.example).where(table.c.run == run, table.c.split == split)
        with self._read() as connection:
            return [row[0] for row in connection.execute(query.order_by(table.c.position))]

    def find_examples(self, run: str, prefix: str) -> list[tuple[str, str]]:
        """Splits and ids of a run's examples that begin so, ``MOST_FITTING`` at most."""
        table = schema.run_examples
        query = select(table.c.split, table.c.example).where(
            table.c.run == run, table.c.example.startswith(prefix, autoescape=True)
        )
        if (
            not self.is_shared
        ):  # the range lets SQLite's index find what LIKE looks for in every row
            query = query.where(table.c.example >= prefix, table.c.example < prefix + "\uffff")
        with self._read() as connection:
            rows = connection.execute(query.limit(MOST_FITTING))
            return [(str(split), str(example)) for split, example in rows]

    def corpus_tags(self, run: str, split: Split) -> dict[str, tuple[str, ...]]:
        """Tags of a run's examples by id, in order."""
        table = schema.run_examples
        query = select(table.c.example, table.c.body)
        query = query.where(table.c.run == run, table.c.split == split).order_by(table.c.position)
        with self._read() as connection:
            rows = connection.execute(query)
            return {example: tuple(json.loads(body).get("tags", ())) for example, body in rows}

    def corpus_groups(self, run: str, split: Split) -> dict[str, str]:
        """The group of each of a run's examples, by id; without a group, the example's id."""
        table = schema.run_examples
        group: Any = (
            as_jsonb(table.c.body)["group"].astext
            if self.is_shared
            else func.json_extract(table.c.body, "$.group")
        )
        query = select(table.c.example, group).where(table.c.run == run, table.c.split == split)
        with self._read() as connection:
            return {key: group_of_row or key for key, group_of_row in connection.execute(query)}

    def corpus_sizes(self, run: str) -> dict[str, int]:
        """A run's examples counted by split."""
        table = schema.run_examples
        query = select(table.c.split, func.count()).where(table.c.run == run)
        with self._read() as connection:
            rows = connection.execute(query.group_by(table.c.split))
            return {str(split): int(count) for split, count in rows}

    def corpus_examples(self, run: str, ids: Sequence[str]) -> dict[str, Example]:
        """Some of a run's examples by id."""
        table = schema.run_examples
        examples = {}
        for some in chunked(ids):
            query = select(table.c.body).where(table.c.run == run, table.c.example.in_(some))
            for body in self._bodies(query):
                example = Example.from_dict(body)
                examples[example.id] = example
        return examples

    def example(self, example: str) -> Example:
        """One example by id."""
        return Example.from_dict(self._body_of(schema.examples, example, "example"))

    # --- dataset versions and models -------------------------------------------------------

    def add_dataset(self, dataset: DatasetVersion) -> None:
        """A dataset version's manifest."""
        body = canonical_json(dataclasses.asdict(dataset))
        self._insert(schema.datasets, [{"id": dataset.id, "parent": dataset.parent, "body": body}])

    def dataset(self, dataset: str) -> DatasetVersion:
        """One dataset version by id."""
        return read_dataset(self._body_of(schema.datasets, dataset, "dataset version"))

    def add_model(self, model: Model) -> None:
        """A model."""
        body = canonical_json(dataclasses.asdict(model))
        self._insert(schema.models, [{"id": model.id, "dataset": model.dataset, "body": body}])

    def model(self, model: str) -> Model:
        """One model by id."""
        return read_model(self._body_of(schema.models, model, "model"))

    def has_model(self, model: str) -> bool:
        """Whether a model is stored."""
        query = select(schema.models.c.id).where(schema.models.c.id == model)
        with self._read() as connection:
            return connection.execute(query).first() is not None

    def models(self) -> list[Model]:
        """Every model."""
        return [read_model(body) for body in self._bodies(select(schema.models.c.body))]
