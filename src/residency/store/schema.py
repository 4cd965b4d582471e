"""The tables. Bodies are canonical JSON; columns are what is searched by.

Rows are only ever added. What belongs to one configuration of a project carries its
``run`` (a fingerprint of data and settings); models, responses and findings are named by
content and shared by every run, so nothing is generated twice.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

schema_version = Table(
    "schema_version",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("applied_at", String(32), nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("started_at", String(32), nullable=False),
    Column("body", Text, nullable=False),
)

examples = Table(
    "examples",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("body", Text, nullable=False),
)

run_examples = Table(
    "run_examples",
    metadata,
    Column("run", String(32), ForeignKey("runs.id"), primary_key=True),
    Column("split", String(8), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("example", String(32), ForeignKey("examples.id"), nullable=False),
    Column("body", Text, nullable=False),
    Index("run_examples_by_run", "run", "example", "split"),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("parent", String(32)),
    Column("body", Text, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("dataset", String(32)),
    Column("body", Text, nullable=False),
)

responses = Table(
    "responses",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("model", String(32), nullable=False),
    Column("example", String(32), nullable=False),
    Column("sample", Integer, nullable=False),
    Column("sampling", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Index("responses_by_model", "model", "sampling"),
    Index("responses_by_example", "example"),
)

findings = Table(
    "findings",
    metadata,
    Column("scope", String(64), primary_key=True),
    Column("response", String(32), primary_key=True),
    Column("detector", String(64), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("kind", String(64), primary_key=True),
    Column("status", String(12), nullable=False),
    Column("body", Text, nullable=False),
    Index("findings_by_response", "response"),
)

checks = Table(
    "checks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("detector", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", String(12), nullable=False),
    Column("message", Text, nullable=False),
    Index("checks_by_content", "detector", "version", "kind", "status", "message", unique=True),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("scope", String(64), primary_key=True),
    Column("response", String(32), primary_key=True),
    Column("model", String(32), nullable=False),
    Column("example", String(32), nullable=False),
    Column("sample", Integer, nullable=False),
    Column("failed", Text, nullable=False),
    Column("repeated", Text, nullable=False),
    Column("measured", Text, nullable=False),
    # of thousands of answers SQLite reads the index alone; an index row of PostgreSQL is short
    Index("outcomes_by_model", "model", "scope", "example").ddl_if(dialect="postgresql"),
    Index("outcomes_with_numbers", "model", "scope", "example", "failed", "repeated").ddl_if(
        dialect="sqlite"
    ),
)

issues = Table(
    "issues",
    metadata,
    Column("run", String(32), ForeignKey("runs.id"), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("found_round", Integer, nullable=False),
    Column("body", Text, nullable=False),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("run", String(32), ForeignKey("runs.id"), primary_key=True),
    Column("issue", String(64), primary_key=True),
    Column("before", String(32), primary_key=True),
    Column("after", String(32), primary_key=True),
    Column("split", String(8), primary_key=True),
    Column("round", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("body", Text, nullable=False),
)

proposals = Table(
    "proposals",
    metadata,
    Column("run", String(32), ForeignKey("runs.id"), primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("issue", String(32), nullable=False),
    Column("example", String(32), nullable=False),
    Column("arm", String(8), nullable=False),
    Column("body", Text, nullable=False),
    Index("proposals_by_example", "example"),
)

rounds = Table(
    "rounds",
    metadata,
    Column("run", String(32), ForeignKey("runs.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("arm", String(32), primary_key=True),
    Column("model", String(32), nullable=False),
    Column("body", Text, nullable=False),
)

stages = Table(
    "stages",
    metadata,
    Column("run", String(32), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("finished_at", String(32), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("body", Text, nullable=False),
)

metrics = Table(
    "metrics",
    metadata,
    Column("training", String(64), primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("body", Text, nullable=False),
)

records = Table(
    "records",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("key", String(128), nullable=False),
    Column("at", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Index("records_by_kind", "kind", "key"),
)

requests = Table(
    "requests",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("time", Float, nullable=False),
    Column("endpoint", String(64), nullable=False),
    Column("model", String(128), nullable=False),
    Column("model_id", String(32), nullable=False),
    Column("status", Integer, nullable=False),
    Column("queue_seconds", Float, nullable=False),
    Column("first_token_seconds", Float),
    Column("seconds", Float, nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("answer_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("finish", String(64), nullable=False),
    Column("error", String(128), nullable=False),
    Column("streamed", Integer, nullable=False),
    Index("requests_by_time", "time"),
)

request_texts = Table(
    "request_texts",
    metadata,
    Column("request", String(64), primary_key=True),
    Column("time", Float, nullable=False),
    Column("model", String(128), nullable=False),
    Column("body", Text, nullable=False),
)

moderation_events = Table(
    "moderation_events",
    metadata,
    Column("request", String(64), primary_key=True),
    Column("side", String(8), primary_key=True),
    Column("kind", String(64), primary_key=True),
    Column("action", String(8), primary_key=True),
    Column("time", Float, nullable=False),
    Column("judges", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    Index("moderation_events_by_time", "time"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("request", String(64), nullable=False),
    Column("time", Float, nullable=False),
    Column("thumb", String(8), nullable=False),
    Column("answer", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index("feedback_by_request", "request"),
)

server_times = Table(
    "server_times",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("started", Float, nullable=False),
    Column("seen", Float, nullable=False),
    Column("ended", Float),
)

traffic = Table(
    "traffic",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("time", Float, nullable=False),
    Column("expires", Float),
    Column("body", Text, nullable=False),
)
