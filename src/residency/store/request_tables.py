"""What a server remembers of its requests. Rows are added while a run may hold the writer lock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, select, text, update

from residency.nouns.content_id import canonical_json
from residency.nouns.example import Message
from residency.nouns.served_request import (
    Feedback,
    ModerationEvent,
    RequestText,
    ServedRequest,
    ServerTime,
)
from residency.store import schema
from residency.store.database import Database, insert_missing

_FIGURES = (
    "id",
    "time",
    "endpoint",
    "model",
    "model_id",
    "status",
    "queue_seconds",
    "first_token_seconds",
    "seconds",
    "prompt_tokens",
    "answer_tokens",
    "cached_tokens",
    "finish",
    "error",
    "streamed",
)
_WIDTHS = {"id": 64, "endpoint": 64, "model": 128, "model_id": 32, "finish": 64, "error": 128}


class RequestTables(Database):
    """Requests, moderation, texts, feedback and servers' lives."""

    def add_requests(
        self, requests: Sequence[ServedRequest], texts: Sequence[RequestText] = ()
    ) -> None:
        """Requests that are over, in one transaction, with texts where they are remembered."""
        rows = [_write_request(request) for request in requests]
        events = [
            {
                "request": request.id[:64],
                "side": event.side[:8],
                "kind": event.kind[:64],
                "action": event.action[:8],
                "time": request.time,
                "judges": event.judges,
                "seconds": event.seconds,
            }
            for request in requests
            for event in request.moderation
        ]
        bodies = [
            {
                "request": row.request[:64],
                "time": row.time,
                "model": row.model[:128],
                "body": canonical_json(
                    {
                        "messages": [message.to_dict() for message in row.messages],
                        "answers": list(row.answers),
                    }
                ),
            }
            for row in texts
        ]
        tables = (schema.requests, rows), (schema.moderation_events, events)
        with self._append() as connection:
            for table, several in (*tables, (schema.request_texts, bodies)):
                if several:
                    insert_missing(connection, table, several)

    def served_requests(self, since: float = 0.0, until: float = 1e12) -> list[ServedRequest]:
        """Requests that came between two times, oldest first."""
        table = schema.requests
        columns = [table.c[name] for name in _FIGURES]
        query = select(*columns).where(table.c.time >= since, table.c.time < until)
        events: dict[str, list[ModerationEvent]] = {}
        with self._read() as connection:
            rows = connection.execute(query.order_by(table.c.time, table.c.id)).all()
            for request, *event in _read_events(connection, since, until):
                events.setdefault(str(request), []).append(ModerationEvent(*event))
        out = []
        for row in rows:
            values = dict(zip(_FIGURES, row, strict=True))
            values["streamed"] = bool(values["streamed"])
            moderation = tuple(events.get(values["id"], ()))
            out.append(ServedRequest(**values, moderation=moderation))
        return out

    def has_request(self, request: str) -> bool:
        """Whether a request of this id was served."""
        query = select(schema.requests.c.id).where(schema.requests.c.id == request)
        with self._read() as connection:
            return connection.execute(query).first() is not None

    def request_texts(self) -> list[RequestText]:
        """Texts that are still remembered, oldest first."""
        table = schema.request_texts
        query = select(table.c.request, table.c.time, table.c.model, table.c.body)
        out = []
        with self._read() as connection:
            for request, time, model, body in connection.execute(query.order_by(table.c.time)):
                raw = json.loads(body)
                messages = tuple(Message.from_dict(message) for message in raw["messages"])
                out.append(RequestText(request, time, model, messages, tuple(raw["answers"])))
        return out

    def has_request_text(self, request: str) -> bool:
        """Whether the text of a request is still remembered."""
        table = schema.request_texts
        query = select(table.c.request).where(table.c.request == request)
        with self._read() as connection:
            return connection.execute(query).first() is not None

    def forget_texts(self, before: float, now: float) -> int:
        """Delete texts of requests and of feedback that are older, and traffic that expired.

        Their figures stay. SQLite is told to overwrite what it deletes. Gives the number of texts.
        """
        texts, feedback, traffic = schema.request_texts, schema.feedback, schema.traffic
        old = feedback.c.time < before
        written = (feedback.c.answer != "") | (feedback.c.reason != "")
        with self._append() as connection:
            if connection.dialect.name == "sqlite":
                connection.execute(text("PRAGMA secure_delete=ON"))
            gone = connection.execute(delete(texts).where(texts.c.time < before)).rowcount
            gone += connection.execute(delete(traffic).where(traffic.c.expires < now)).rowcount
            gone += connection.execute(
                update(feedback).where(old, written).values(answer="", reason="")
            ).rowcount
        return int(gone)

    # --- feedback --------------------------------------------------------------------------

    def add_feedback(self, feedback: Feedback) -> None:
        """What a person said; said again, both stay."""
        row = {
            "request": feedback.request,
            "time": feedback.time,
            "thumb": feedback.thumb,
            "answer": feedback.answer,
            "reason": feedback.reason,
        }
        with self._append() as connection:
            connection.execute(schema.feedback.insert(), [row])

    def feedback(self) -> list[Feedback]:
        """All feedback, oldest first."""
        table = schema.feedback
        columns = (table.c.request, table.c.time, table.c.thumb, table.c.answer, table.c.reason)
        with self._read() as connection:
            return [
                Feedback(*row) for row in connection.execute(select(*columns).order_by(table.c.id))
            ]

    # --- servers ---------------------------------------------------------------------------

    def mark_server(self, life: ServerTime) -> None:
        """A server that started, still runs, or ended."""
        table = schema.server_times
        row = {"id": life.id, "started": life.started, "seen": life.seen, "ended": life.ended}
        with self._append() as connection:
            insert_missing(connection, table, [row])
            connection.execute(
                update(table).where(table.c.id == life.id).values(seen=life.seen, ended=life.ended)
            )

    def server_times(self) -> list[ServerTime]:
        """Every server's life, oldest first."""
        table = schema.server_times
        query = select(table.c.id, table.c.started, table.c.seen, table.c.ended)
        with self._read() as connection:
            rows = connection.execute(query.order_by(table.c.started))
            return [ServerTime(*row) for row in rows]


def _write_request(request: ServedRequest) -> dict[str, Any]:
    row = {name: getattr(request, name) for name in _FIGURES}
    row["streamed"] = int(request.streamed)
    return row | {name: row[name][:width] for name, width in _WIDTHS.items()}


def _read_events(connection: Connection, since: float, until: float) -> list[Any]:
    table = schema.moderation_events
    columns = (table.c.request, table.c.side, table.c.kind, table.c.action)
    query = select(*columns, table.c.judges, table.c.seconds)
    return list(connection.execute(query.where(table.c.time >= since, table.c.time < until)).all())
