"""Nouns in, nouns out. The rest of the product sees no SQL.

Every ``add_*`` is one transaction and ignores rows that are there already (identity is by
content), so a step that was cut off can simply be done again.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, create_engine, event, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from residency.errors import StoreError
from residency.nouns.content_id import canonical_json, content_id
from residency.nouns.dataset_version import DatasetVersion
from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.issue import Issue
from residency.nouns.model import Model
from residency.nouns.proposal import Proposal
from residency.nouns.response import Response, Sampling
from residency.nouns.round import Round
from residency.nouns.verdict import Verdict
from residency.store import codec, schema
from residency.store.artifacts import Artifacts
from residency.store.lock import WriterLock
from residency.store.migrations import migrate

FOLDER = ".residency"
T = TypeVar("T")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Store:
    """The stored side of a project.

    Args:
        root: the project's folder; ``.residency/`` is made inside it.
        url: a database URL; empty for the SQLite file ``.residency/store.db``.
        create: make the store when there is none.

    Raises:
        StoreError: it cannot be opened, or there is none and ``create`` is False.
    """

    def __init__(self, root: Path, url: str = "", *, create: bool = True) -> None:
        self.folder = root / FOLDER
        path = self.folder / "store.db"
        if not url and not create and not path.exists():
            raise StoreError(
                "nothing is stored here yet", where=str(root), next_step="run: residency run"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._engine = create_engine(url or f"sqlite:///{path}")
            if self._engine.dialect.name == "sqlite":
                event.listen(self._engine, "connect", _sqlite_settings)
            with self._engine.begin() as connection:
                migrate(connection)
        except (OSError, SQLAlchemyError) as error:
            raise StoreError(
                f"the store cannot be opened: {error}",
                where=url or str(path),
                next_step="check that the folder is writable and the file is a Residency store",
            ) from error
        self.artifacts = Artifacts(self.folder / "artifacts")

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def writer(self, command: str) -> WriterLock:
        """The project's one writer lock, to be held by every command that writes."""
        return WriterLock(self.folder / "writer.lock", command)

    # --- runs and examples ---------------------------------------------------------------

    def add_run(self, run: str, body: Mapping[str, Any]) -> None:
        """A run: one fingerprint of data and settings."""
        self._insert(schema.runs, [{"id": run, "started_at": _now(), "body": canonical_json(body)}])

    def latest_run(self) -> str | None:
        """The run that was worked on last."""
        at = select(schema.records.c.key).where(schema.records.c.kind == "run opened")
        with self._read() as connection:
            found = connection.execute(at.order_by(schema.records.c.id.desc()).limit(1)).scalar()
        return str(found) if found is not None else None

    def run(self, run: str) -> dict[str, Any]:
        """What a run was started with."""
        return self._one(schema.runs, run, "run")

    def add_corpus(self, run: str, examples: Iterable[Example]) -> None:
        """The examples of a run, in order, split by split."""
        position: dict[str, int] = {}
        links, bodies = [], []
        for example in examples:
            body = canonical_json(example.to_dict())
            place = position[example.split] = position.get(example.split, -1) + 1
            bodies.append({"id": example.id, "body": body})
            links.append(
                {
                    "run": run,
                    "split": example.split,
                    "position": place,
                    "example": example.id,
                    "body": body,
                }
            )
        with self._engine.begin() as connection:
            _insert(connection, schema.examples, bodies)
            _insert(connection, schema.run_examples, links)

    def corpus(self, run: str, split: str | None = None) -> list[Example]:
        """A run's examples, in order."""
        table = schema.run_examples
        query = select(table.c.body).where(table.c.run == run)
        if split:
            query = query.where(table.c.split == split)
        query = query.order_by(table.c.split, table.c.position)
        return [Example.from_dict(body) for body in self._bodies(query)]

    def example(self, example: str) -> Example:
        """One example by id."""
        return Example.from_dict(self._one(schema.examples, example, "example"))

    # --- datasets, models ----------------------------------------------------------------

    def add_dataset(self, dataset: DatasetVersion) -> None:
        """A dataset version's manifest."""
        body = canonical_json(dataclasses.asdict(dataset))
        self._insert(schema.datasets, [{"id": dataset.id, "parent": dataset.parent, "body": body}])

    def dataset(self, dataset: str) -> DatasetVersion:
        """One dataset version by id."""
        return codec.dataset(self._one(schema.datasets, dataset, "dataset version"))

    def add_model(self, model: Model) -> None:
        """A model."""
        body = canonical_json(dataclasses.asdict(model))
        self._insert(schema.models, [{"id": model.id, "dataset": model.dataset, "body": body}])

    def model(self, model: str) -> Model:
        """One model by id."""
        return codec.model(self._one(schema.models, model, "model"))

    def models(self) -> list[Model]:
        """Every model."""
        return [codec.model(body) for body in self._bodies(select(schema.models.c.body))]

    # --- responses and findings ----------------------------------------------------------

    def add_responses(self, responses: Sequence[Response]) -> None:
        """Responses, each kept at once so that a cut-off generation loses nothing."""
        self._insert(
            schema.responses,
            [
                {
                    "id": r.id,
                    "model": r.model,
                    "example": r.example,
                    "sample": r.sample,
                    "sampling": sampling_id(r.sampling),
                    "body": canonical_json(dataclasses.asdict(r)),
                }
                for r in responses
            ],
        )

    def responses(
        self,
        model: str,
        examples: Iterable[Example] | None = None,
        sampling: Sampling | None = None,
    ) -> list[Response]:
        """A model's responses, in the order of ``examples`` when they are given."""
        table = schema.responses
        query = select(table.c.body).where(table.c.model == model)
        if sampling is not None:
            query = query.where(table.c.sampling == sampling_id(sampling))
        found = [codec.response(body) for body in self._bodies(query)]
        if examples is None:
            return sorted(found, key=lambda r: (r.example, r.sample))
        order = {example.id: place for place, example in enumerate(examples)}
        wanted = [r for r in found if r.example in order]
        return sorted(wanted, key=lambda r: (order[r.example], r.sample))

    def add_findings(self, scope: str, findings: Sequence[Finding]) -> None:
        """Findings. ``scope`` names what they were judged against (suite and settings hash)."""
        self._insert(
            schema.findings,
            [
                {
                    "scope": scope,
                    "response": f.response,
                    "detector": f.detector,
                    "version": f.version,
                    "kind": f.kind,
                    "status": f.status,
                    "body": canonical_json(dataclasses.asdict(f)),
                }
                for f in findings
            ],
        )

    def findings(self, scope: str, responses: Iterable[Response]) -> list[Finding]:
        """Findings of a scope on these responses."""
        table = schema.findings
        ids = [r.id for r in responses]
        out: list[Finding] = []
        for start in range(0, len(ids), 500):
            query = select(table.c.body).where(
                table.c.scope == scope, table.c.response.in_(ids[start : start + 500])
            )
            out += [codec.finding(body) for body in self._bodies(query)]
        place = {response: i for i, response in enumerate(ids)}
        return sorted(out, key=lambda f: (place[f.response], f.detector, f.kind))

    # --- issues, verdicts, proposals, rounds ---------------------------------------------

    def add_issues(self, run: str, issues: Sequence[Issue]) -> None:
        """Issues of a run; an issue keeps the round in which it was first found."""
        self._insert(
            schema.issues,
            [
                {
                    "run": run,
                    "id": i.id,
                    "found_round": i.found_round,
                    "body": canonical_json(dataclasses.asdict(i)),
                }
                for i in issues
            ],
        )

    def issues(self, run: str) -> list[Issue]:
        """Issues of a run, oldest round first."""
        table = schema.issues
        query = select(table.c.body).where(table.c.run == run).order_by(table.c.found_round)
        return [codec.issue(body) for body in self._bodies(query)]

    def add_verdicts(self, run: str, verdicts: Sequence[Verdict]) -> None:
        """Verdicts of a run."""
        self._insert(
            schema.verdicts,
            [
                {
                    "run": run,
                    "issue": v.issue,
                    "before": v.before,
                    "after": v.after,
                    "split": v.split,
                    "round": v.round,
                    "status": v.status,
                    "body": canonical_json(dataclasses.asdict(v)),
                }
                for v in verdicts
            ],
        )

    def verdicts(self, run: str) -> list[Verdict]:
        """Verdicts of a run, by round."""
        table = schema.verdicts
        query = select(table.c.body).where(table.c.run == run)
        found = [Verdict(**body) for body in self._bodies(query)]
        return sorted(found, key=lambda v: (v.round, v.split, v.issue))

    def add_proposals(self, run: str, round_: int, proposals: Sequence[Proposal]) -> None:
        """Proposals for the dataset of round ``round_``."""
        self._insert(
            schema.proposals,
            [
                {
                    "run": run,
                    "round": round_,
                    "id": p.id,
                    "issue": p.issue,
                    "example": p.example.id,
                    "arm": p.arm,
                    "body": canonical_json(codec.proposal_body(p)),
                }
                for p in proposals
            ],
        )

    def proposals(self, run: str, round_: int | None = None) -> list[Proposal]:
        """Proposals of a run, or of one round; those of the control arm last."""
        table = schema.proposals
        query = select(table.c.body).where(table.c.run == run)
        if round_ is not None:
            query = query.where(table.c.round == round_)
        found = [codec.proposal(body) for body in self._bodies(query)]
        return sorted(found, key=lambda p: (p.arm != "main", p.issue, -p.score, p.id))

    def add_round(self, run: str, round_: Round, body: Mapping[str, Any]) -> None:
        """A round with its figures (``body``: scores, rates, seconds a stage)."""
        value = {**dataclasses.asdict(round_), "figures": body}
        self._insert(
            schema.rounds,
            [
                {
                    "run": run,
                    "number": round_.index,
                    "arm": round_.arm,
                    "model": round_.model,
                    "body": canonical_json(value),
                }
            ],
        )

    def rounds(self, run: str) -> list[tuple[Round, dict[str, Any]]]:
        """Rounds of a run with their figures, in order (main arm before control)."""
        table = schema.rounds
        found = []
        for body in self._bodies(select(table.c.body).where(table.c.run == run)):
            figures = body.pop("figures")
            found.append((Round(**body), figures))
        order = {"zero-shot": 0, "few-shot": 1, "main": 2, "control": 3}
        return sorted(found, key=lambda pair: (pair[0].index, order.get(pair[0].arm, 9)))

    # --- stages, metrics, records --------------------------------------------------------

    def finish_stage(self, run: str, key: str, seconds: float, body: Any) -> None:
        """Mark a stage as done, with its result. Done once, it is never done again."""
        self._insert(
            schema.stages,
            [
                {
                    "run": run,
                    "key": key,
                    "finished_at": _now(),
                    "seconds": seconds,
                    "body": canonical_json(body),
                }
            ],
        )

    def stage(self, run: str, key: str) -> Any | None:
        """The stored result of a finished stage, or None."""
        table = schema.stages
        query = select(table.c.body).where(table.c.run == run, table.c.key == key)
        found = list(self._bodies(query))
        return found[0] if found else None

    def stages(self, run: str) -> list[tuple[str, float, str]]:
        """Finished stages: key, seconds, when."""
        table = schema.stages
        query = select(table.c.key, table.c.seconds, table.c.finished_at)
        with self._read() as connection:
            rows = connection.execute(query.where(table.c.run == run)).all()
        return sorted(
            ((str(r[0]), float(r[1]), str(r[2])) for r in rows), key=lambda row: (row[2], row[0])
        )

    def add_metrics(self, training: str, step: int, values: Mapping[str, float]) -> None:
        """One training step's figures."""
        self._insert(
            schema.metrics, [{"training": training, "step": step, "body": canonical_json(values)}]
        )

    def metrics(self, training: str) -> list[dict[str, Any]]:
        """A training's figures, step by step; ``step`` is added to each."""
        table = schema.metrics
        query = select(table.c.step, table.c.body).where(table.c.training == training)
        with self._read() as connection:
            rows = connection.execute(query.order_by(table.c.step)).all()
        return [{"step": int(step), **json.loads(body)} for step, body in rows]

    def add_record(self, kind: str, key: str, body: Any) -> None:
        """Append to the log: votes, benchmark items, judge answers, notes. Nothing is overwritten."""
        row = {"kind": kind, "key": key, "at": _now(), "body": canonical_json(body)}
        with self._engine.begin() as connection:
            connection.execute(schema.records.insert(), [row])

    def records(self, kind: str, key: str | None = None) -> list[dict[str, Any]]:
        """Records of a kind (and key), oldest first; ``at`` is added to each."""
        table = schema.records
        query = select(table.c.at, table.c.body).where(table.c.kind == kind)
        if key is not None:
            query = query.where(table.c.key == key)
        with self._read() as connection:
            rows = connection.execute(query.order_by(table.c.id)).all()
        return [{"at": at, **json.loads(body)} for at, body in rows]

    def find(self, prefix: str) -> list[str]:
        """Full ids (models, issues, examples, responses, datasets) that begin with ``prefix``."""
        out: list[str] = []
        tables = (schema.models, schema.issues, schema.examples, schema.responses, schema.datasets)
        with self._read() as connection:
            for table in tables:
                query = select(table.c.id).where(table.c.id.startswith(prefix, autoescape=True))
                out += [str(row[0]) for row in connection.execute(query.distinct().limit(20))]
        return out

    def count(self, name: str) -> int:
        """Rows of a table, for the status page."""
        table = schema.metadata.tables[name]
        with self._read() as connection:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())

    # --- inside ---------------------------------------------------------------------------

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            yield connection

    def _insert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        with self._engine.begin() as connection:
            _insert(connection, table, rows)

    def _bodies(self, query: Any) -> list[dict[str, Any]]:
        with self._read() as connection:
            return [json.loads(row[0]) for row in connection.execute(query)]

    def _one(self, table: Table, key: str, noun: str) -> dict[str, Any]:
        found = list(self._bodies(select(table.c.body).where(table.c.id == key)))
        if not found:
            raise StoreError(
                f"there is no {noun} {key}", next_step="residency status lists what is stored"
            )
        return found[0]


def sampling_id(sampling: Sampling) -> str:
    """Content id of sampling settings."""
    return content_id("s", sampling.to_dict())


def _insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(dialect.insert(table).on_conflict_do_nothing(), list(rows))


def _sqlite_settings(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.close()
