"""Conversations that came back from use. They belong to no run and no split."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update

from residency.nouns.content_id import canonical_json
from residency.nouns.traffic_row import TrafficRow
from residency.store import schema
from residency.store.database import Database, insert_missing


class TrafficTables(Database):
    """Rows of ``residency ingest``."""

    def add_traffic(self, rows: Sequence[TrafficRow]) -> None:
        """Rows; one that is there already takes what is known of it now (feedback, findings)."""
        table = schema.traffic
        with self._write() as connection:
            for row in rows:
                body = canonical_json(row.to_dict())
                values = {"time": row.time, "expires": row.expires, "body": body}
                insert_missing(connection, table, [{"id": row.id, **values}])
                connection.execute(update(table).where(table.c.id == row.id).values(**values))

    def traffic(self) -> list[TrafficRow]:
        """Every row that is remembered, oldest first."""
        table = schema.traffic
        query = select(table.c.body).order_by(table.c.time, table.c.id)
        return [TrafficRow.from_dict(body) for body in self._bodies(query)]
