"""Append-only migrations. A step, once released, is never edited; a change is a new step.

Each step is written out in portable SQL instead of being derived from ``schema.py``, so that
an old store reaches today's schema by the same road as a new one (a test compares the two).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Connection, inspect, text

from residency.errors import StoreError
from residency.store.pack_old_findings import pack_old_findings

Step = tuple[str | Callable[[Connection], None], ...]


def _index_written_numbers(connection: Connection) -> None:
    """PostgreSQL, which joins by hashing and refuses long index rows, needs no such index."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("DROP INDEX outcomes_by_model"))
        connection.execute(
            text(
                "CREATE INDEX outcomes_with_numbers ON outcomes "
                "(model, scope, example, failed, repeated)"
            )
        )


STEPS: tuple[Step, ...] = (
    (
        "CREATE TABLE runs (id VARCHAR(32) PRIMARY KEY, started_at VARCHAR(32) NOT NULL, "
        "body TEXT NOT NULL)",
        "CREATE TABLE examples (id VARCHAR(32) PRIMARY KEY, body TEXT NOT NULL)",
        "CREATE TABLE run_examples (run VARCHAR(32) NOT NULL REFERENCES runs (id), "
        "split VARCHAR(8) NOT NULL, position INTEGER NOT NULL, "
        "example VARCHAR(32) NOT NULL REFERENCES examples (id), body TEXT NOT NULL, "
        "PRIMARY KEY (run, split, position))",
        "CREATE INDEX run_examples_by_example ON run_examples (example)",
        "CREATE TABLE datasets (id VARCHAR(32) PRIMARY KEY, parent VARCHAR(32), body TEXT NOT NULL)",
        "CREATE TABLE models (id VARCHAR(32) PRIMARY KEY, dataset VARCHAR(32), body TEXT NOT NULL)",
        "CREATE TABLE responses (id VARCHAR(32) PRIMARY KEY, model VARCHAR(32) NOT NULL, "
        "example VARCHAR(32) NOT NULL, sample INTEGER NOT NULL, sampling VARCHAR(32) NOT NULL, "
        "body TEXT NOT NULL)",
        "CREATE INDEX responses_by_model ON responses (model, sampling)",
        "CREATE INDEX responses_by_example ON responses (example)",
        "CREATE TABLE findings (scope VARCHAR(64) NOT NULL, response VARCHAR(32) NOT NULL, "
        "detector VARCHAR(64) NOT NULL, version VARCHAR(64) NOT NULL, kind VARCHAR(64) NOT NULL, "
        "status VARCHAR(12) NOT NULL, body TEXT NOT NULL, "
        "PRIMARY KEY (scope, response, detector, version, kind))",
        "CREATE INDEX findings_by_response ON findings (response)",
        "CREATE TABLE issues (run VARCHAR(32) NOT NULL REFERENCES runs (id), "
        "id VARCHAR(32) NOT NULL, found_round INTEGER NOT NULL, body TEXT NOT NULL, "
        "PRIMARY KEY (run, id))",
        "CREATE TABLE verdicts (run VARCHAR(32) NOT NULL REFERENCES runs (id), "
        "issue VARCHAR(64) NOT NULL, before VARCHAR(32) NOT NULL, after VARCHAR(32) NOT NULL, "
        "split VARCHAR(8) NOT NULL, round INTEGER NOT NULL, status VARCHAR(16) NOT NULL, "
        "body TEXT NOT NULL, PRIMARY KEY (run, issue, before, after, split))",
        "CREATE TABLE proposals (run VARCHAR(32) NOT NULL REFERENCES runs (id), "
        "round INTEGER NOT NULL, id VARCHAR(32) NOT NULL, issue VARCHAR(32) NOT NULL, "
        "example VARCHAR(32) NOT NULL, arm VARCHAR(8) NOT NULL, body TEXT NOT NULL, "
        "PRIMARY KEY (run, round, id))",
        "CREATE INDEX proposals_by_example ON proposals (example)",
        "CREATE TABLE rounds (run VARCHAR(32) NOT NULL REFERENCES runs (id), "
        "number INTEGER NOT NULL, arm VARCHAR(32) NOT NULL, model VARCHAR(32) NOT NULL, "
        "body TEXT NOT NULL, PRIMARY KEY (run, number, arm))",
        "CREATE TABLE stages (run VARCHAR(32) NOT NULL, key VARCHAR(128) NOT NULL, "
        "finished_at VARCHAR(32) NOT NULL, seconds FLOAT NOT NULL, body TEXT NOT NULL, "
        "PRIMARY KEY (run, key))",
        "CREATE TABLE metrics (training VARCHAR(64) NOT NULL, step INTEGER NOT NULL, "
        "body TEXT NOT NULL, PRIMARY KEY (training, step))",
        "CREATE TABLE records (id {serial}, kind VARCHAR(32) NOT NULL, key VARCHAR(128) NOT NULL, "
        "at VARCHAR(32) NOT NULL, body TEXT NOT NULL)",
        "CREATE INDEX records_by_kind ON records (kind, key)",
    ),
    (
        "CREATE TABLE checks (id {serial}, detector TEXT NOT NULL, version TEXT NOT NULL, "
        "kind TEXT NOT NULL, status VARCHAR(12) NOT NULL, message TEXT NOT NULL)",
        "CREATE UNIQUE INDEX checks_by_content ON checks "
        "(detector, version, kind, status, message)",
        "CREATE TABLE outcomes (scope VARCHAR(64) NOT NULL, response VARCHAR(32) NOT NULL, "
        "model VARCHAR(32) NOT NULL, example VARCHAR(32) NOT NULL, sample INTEGER NOT NULL, "
        "failed TEXT NOT NULL, repeated TEXT NOT NULL, measured TEXT NOT NULL, "
        "PRIMARY KEY (scope, response))",
        "CREATE INDEX outcomes_by_model ON outcomes (model, scope, example)",
        pack_old_findings,
    ),
    (
        "CREATE TABLE requests (id VARCHAR(64) PRIMARY KEY, time FLOAT NOT NULL, "
        "endpoint VARCHAR(64) NOT NULL, model VARCHAR(128) NOT NULL, "
        "model_id VARCHAR(32) NOT NULL, status INTEGER NOT NULL, queue_seconds FLOAT NOT NULL, "
        "first_token_seconds FLOAT, seconds FLOAT NOT NULL, prompt_tokens INTEGER NOT NULL, "
        "answer_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, "
        "finish VARCHAR(64) NOT NULL, error VARCHAR(128) NOT NULL, streamed INTEGER NOT NULL)",
        "CREATE INDEX requests_by_time ON requests (time)",
        "CREATE TABLE request_texts (request VARCHAR(64) PRIMARY KEY, time FLOAT NOT NULL, "
        "model VARCHAR(128) NOT NULL, body TEXT NOT NULL)",
        "CREATE TABLE moderation_events (request VARCHAR(64) NOT NULL, side VARCHAR(8) NOT NULL, "
        "kind VARCHAR(64) NOT NULL, action VARCHAR(8) NOT NULL, time FLOAT NOT NULL, "
        "judges TEXT NOT NULL, seconds FLOAT NOT NULL, PRIMARY KEY (request, side, kind, action))",
        "CREATE INDEX moderation_events_by_time ON moderation_events (time)",
        "CREATE TABLE feedback (id {serial}, request VARCHAR(64) NOT NULL, time FLOAT NOT NULL, "
        "thumb VARCHAR(8) NOT NULL, answer TEXT NOT NULL, reason TEXT NOT NULL)",
        "CREATE INDEX feedback_by_request ON feedback (request)",
        "CREATE TABLE server_times (id VARCHAR(32) PRIMARY KEY, started FLOAT NOT NULL, "
        "seen FLOAT NOT NULL, ended FLOAT)",
        "CREATE TABLE traffic (id VARCHAR(32) PRIMARY KEY, time FLOAT NOT NULL, expires FLOAT, "
        "body TEXT NOT NULL)",
    ),
    (
        # with (example) alone SQLite read a whole run to find a page of its rows
        "DROP INDEX run_examples_by_example",
        "CREATE INDEX run_examples_by_run ON run_examples (run, example)",
    ),
    (
        # pairs of answers are counted from indexes alone, in the order of one of them: without the
        # split and the numbers each of 100 000 items cost three rows read at random
        "DROP INDEX run_examples_by_run",
        "CREATE INDEX run_examples_by_run ON run_examples (run, example, split)",
        _index_written_numbers,
    ),
)

_FIRST_TABLES = re.findall(r"CREATE TABLE (\w+)", " ".join(map(str, STEPS[0])))
_SERIAL = {"sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT", "postgresql": "SERIAL PRIMARY KEY"}


def read_version(connection: Connection) -> int:
    """Schema version of a store; 0 for an empty one.

    Raises:
        StoreError: the store was written by a newer Residency.
    """
    if not inspect(connection).has_table("schema_version"):
        return 0
    stored = connection.execute(text("SELECT MAX(version) FROM schema_version")).scalar()
    version = int(stored or 0)
    if version > len(STEPS):
        raise StoreError(
            f"the store has schema version {version}, this Residency knows {len(STEPS)}",
            next_step="upgrade Residency: pip install -U residency",
        )
    return version


def migrate(connection: Connection) -> int:
    """Bring a store to the newest version, inside the caller's transaction; gives the version.

    All steps stand together or none does, also when the process is killed or the disk is full.

    Raises:
        StoreError: the store was written by a newer Residency.
    """
    _begin(connection)
    now = read_version(connection)
    if now == 0:
        _drop_unfinished(connection)
        connection.execute(
            text(
                "CREATE TABLE IF NOT EXISTS schema_version "
                "(version INTEGER PRIMARY KEY, applied_at VARCHAR(32) NOT NULL)"
            )
        )
    serial = _SERIAL[connection.dialect.name]
    for number, step in enumerate(STEPS[now:], start=now + 1):
        for action in step:
            if isinstance(action, str):
                connection.execute(text(action.replace("{serial}", serial)))
            else:
                action(connection)
        connection.execute(
            text("INSERT INTO schema_version (version, applied_at) VALUES (:v, :at)"),
            {"v": number, "at": datetime.now(UTC).isoformat(timespec="seconds")},
        )
    return len(STEPS)


def _begin(connection: Connection) -> None:
    """Python's sqlite3 begins no transaction before CREATE: each table would stand at once."""
    raw = connection.connection.dbapi_connection
    if connection.dialect.name == "sqlite" and raw is not None and not raw.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _drop_unfinished(connection: Connection) -> None:
    """Tables of a new SQLite store that a version without ``_begin`` left half made hold nothing."""
    if connection.dialect.name != "sqlite" or not inspect(connection).has_table("schema_version"):
        return
    for table in set(inspect(connection).get_table_names()) & {"schema_version", *_FIRST_TABLES}:
        connection.execute(text(f"DROP TABLE {table}"))
