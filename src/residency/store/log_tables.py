"""Finished stages, figures of trainings, and the log of records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from residency.nouns.content_id import canonical_json
from residency.store import schema
from residency.store.database import Database, write_time
from residency.store.record_kind import OF_PEOPLE, RecordKind
from residency.store.stage_key import FinishedStage, StageKey


class LogTables(Database):
    """What was done, when, and how long it took."""

    # --- stages ----------------------------------------------------------------------------

    def finish_stage(self, run: str, key: StageKey, seconds: float, body: Any) -> None:
        """Mark a stage as done, with its result. Done once, it is never done again."""
        self._insert(
            schema.stages,
            [
                {
                    "run": run,
                    "key": str(key),
                    "finished_at": write_time(),
                    "seconds": seconds,
                    "body": canonical_json(body),
                }
            ],
        )

    def stage(self, run: str, key: StageKey) -> Any | None:
        """The stored result of a finished stage, or None."""
        table = schema.stages
        query = select(table.c.body).where(table.c.run == run, table.c.key == str(key))
        bodies = self._bodies(query)
        return bodies[0] if bodies else None

    def stages(self, run: str) -> list[FinishedStage]:
        """Finished stages, in the order in which they ended."""
        table = schema.stages
        query = select(table.c.key, table.c.seconds, table.c.finished_at)
        with self._read() as connection:
            rows = connection.execute(query.where(table.c.run == run)).all()
        rows = sorted(rows, key=lambda row: (row[2], row[0]))
        return [FinishedStage(StageKey.parse(key), float(s), str(at)) for key, s, at in rows]

    def reopen_stage(self, run: str, key: StageKey) -> None:
        """Forget that a stage is done, where what it made is gone; it is then done again."""
        table = schema.stages
        with self._write() as connection:
            connection.execute(table.delete().where(table.c.run == run, table.c.key == str(key)))

    # --- trainings -------------------------------------------------------------------------

    def add_metrics(self, training: str, step: int, values: Mapping[str, float]) -> None:
        """One training step's figures."""
        row = {"training": training, "step": step, "body": canonical_json(values)}
        self._insert(schema.metrics, [row])

    def metrics(self, training: str) -> list[dict[str, Any]]:
        """A training's figures, step by step; ``step`` is added to each."""
        table = schema.metrics
        query = select(table.c.step, table.c.body).where(table.c.training == training)
        with self._read() as connection:
            rows = connection.execute(query.order_by(table.c.step)).all()
        return [{"step": int(step), **json.loads(body)} for step, body in rows]

    # --- the log ---------------------------------------------------------------------------

    def add_record(self, kind: RecordKind, key: str, body: Any) -> None:
        """Append to the log: votes, benchmark items, judge answers, notes. Nothing is overwritten."""
        row = {"kind": kind.value, "key": key, "at": write_time(), "body": canonical_json(body)}
        with self._append() if kind in OF_PEOPLE else self._write() as connection:
            connection.execute(schema.records.insert(), [row])

    def records(self, kind: RecordKind, key: str | None = None) -> list[dict[str, Any]]:
        """Records of a kind (and key), oldest first; ``at`` is added to each."""
        table = schema.records
        query = select(table.c.at, table.c.body).where(table.c.kind == kind.value)
        if key is not None:
            query = query.where(table.c.key == key)
        with self._read() as connection:
            rows = connection.execute(query.order_by(table.c.id)).all()
        return [{"at": at, **json.loads(body)} for at, body in rows]
