"""Schema 2: every answer of an older store gets its short row of outcomes.

The old findings stay as they are, so nothing can be lost; readers leave out what stands twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby

from sqlalchemy import Connection, text

from residency.store.packed_findings import (
    Check,
    pack_findings,
    write_numbers,
    write_values,
)
from residency.store.stored_bodies import read_finding

_BATCH = 2000


def pack_old_findings(connection: Connection) -> None:
    """Fill ``checks`` and ``outcomes`` from ``findings``, in the caller's transaction."""
    numbers: dict[Check, int] = {}

    def number_of(check: Check) -> int:
        if check not in numbers:
            numbers[check] = len(numbers) + 1
            connection.execute(
                text(
                    "INSERT INTO checks (detector, version, kind, status, message) "
                    "VALUES (:detector, :version, :kind, :status, :message)"
                ),
                check._asdict(),
            )
        return numbers[check]

    batch = []
    for scope, response, model, example, sample, bodies in _old_answers(connection):
        findings = [read_finding(json.loads(body)) for body in bodies]
        rows, _ = pack_findings(findings, number_of)
        row = rows[response]
        batch.append(
            {
                "scope": scope,
                "response": response,
                "model": model or "",
                "example": example or "",
                "sample": sample or 0,
                "failed": write_numbers(row.failed),
                "repeated": write_numbers(row.repeated),
                "measured": write_values(row.values),
            }
        )
        if len(batch) >= _BATCH:
            _write_batch(connection, batch)
            batch = []
    if batch:
        _write_batch(connection, batch)


def _old_answers(
    connection: Connection,
) -> Iterator[tuple[str, str, str | None, str | None, int | None, list[str]]]:
    """Scope, response, its model, example and sample, and the bodies of its findings."""
    joined_rows = connection.execute(
        text(
            "SELECT f.scope, f.response, r.model, r.example, r.sample, f.body FROM findings f "
            "LEFT JOIN responses r ON r.id = f.response ORDER BY f.scope, f.response"
        ).execution_options(stream_results=True, yield_per=_BATCH)
    )
    for key, rows in groupby(joined_rows, key=lambda row: (row[0], row[1], row[2], row[3], row[4])):
        yield (*key, [row[5] for row in rows])


def _write_batch(connection: Connection, batch: list[dict[str, object]]) -> None:
    names = ", ".join(batch[0])
    values = ", ".join(f":{name}" for name in batch[0])
    connection.execute(text(f"INSERT INTO outcomes ({names}) VALUES ({values})"), batch)
