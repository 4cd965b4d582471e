"""Nouns in, nouns out. The rest of the product sees no SQL.

Every ``add_*`` is one transaction and ignores rows that are there already (identity is by
content), so a step that was cut off can simply be done again. Writing takes the project's writer
lock (``with store.writer(COMMAND):``), reading never does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import func, or_, select, text

from residency.nouns.content_id import is_bare
from residency.store import schema
from residency.store.artifacts import Artifacts
from residency.store.drawn_pages import DrawnPages
from residency.store.finding_tables import FindingTables
from residency.store.issue_tables import IssueTables
from residency.store.log_tables import LogTables
from residency.store.remote_folders import check_shared
from residency.store.request_tables import RequestTables
from residency.store.response_tables import ResponseTables
from residency.store.run_tables import RunTables
from residency.store.team_artifacts import TeamArtifacts
from residency.store.traffic_tables import TrafficTables

FOLDER = ".residency"


class Store(
    RunTables,
    ResponseTables,
    FindingTables,
    IssueTables,
    LogTables,
    RequestTables,
    TrafficTables,
    DrawnPages,
):
    """The stored side of a project.

    Args:
        root: the project's folder; ``.residency/`` is made inside it.
        url: a database URL; empty for the SQLite file ``.residency/store.db``.
        create: make the store when there is none.
        artifacts: the folder or fsspec URL where a team shares its artifacts; empty: they are this
            machine's alone. tell: called with what keeps them from being shared.

    Raises:
        StoreError: it cannot be opened, or there is none and ``create`` is False.
    """

    def __init__(
        self,
        root: Path,
        url: str = "",
        *,
        create: bool = True,
        artifacts: str = "",
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(root / FOLDER, url, create=create)
        folder = self.folder / "artifacts"
        self.artifacts = (
            TeamArtifacts(folder, check_shared(artifacts, "[project] artifacts"), root, tell)
            if artifacts
            else Artifacts(folder)
        )

    def find(self, prefix: str) -> list[str]:
        """Full ids (models, issues, examples, responses, datasets) that begin with ``prefix``, or with
        it behind their kind (``is-``), which tables leave out where there is little room."""
        ids: list[str] = []
        tables = {
            "m": schema.models, "is": schema.issues, "ex": schema.examples,
            "r": schema.responses, "ds": schema.datasets,
        }  # fmt: skip
        with self._read() as connection:
            for kind, table in tables.items():
                begins = table.c.id.startswith(prefix, autoescape=True)
                if is_bare(prefix):
                    begins = or_(begins, table.c.id.startswith(f"{kind}-{prefix}"))
                query = select(table.c.id).where(begins)
                ids += [str(row[0]) for row in connection.execute(query.distinct().limit(20))]
        return ids

    def check_database(self) -> list[str]:
        """What the database itself finds damaged; nothing for one that is whole.

        PostgreSQL checks its pages itself; there only the tables' references are looked at.
        """
        faults: list[str] = []
        with self._read() as connection:
            if connection.dialect.name == "sqlite":
                rows = connection.execute(text("PRAGMA integrity_check")).all()
                faults += [str(row[0]) for row in rows if row[0] != "ok"]
                broken = connection.execute(text("PRAGMA foreign_key_check")).all()
                faults += [f"{row[0]} row {row[1]} names a missing {row[2]}" for row in broken]
            answers = schema.responses
            for name in ("outcomes", "findings"):
                table = schema.metadata.tables[name]
                lost = select(func.count(table.c.response.distinct())).where(
                    ~select(answers.c.id).where(answers.c.id == table.c.response).exists()
                )
                if count := connection.execute(lost).scalar_one():
                    faults.append(f"{name} speak of {count} answers that are not stored")
        return faults

    def count(self, name: str) -> int:
        """Rows of a table, for the status page."""
        table = schema.metadata.tables[name]
        with self._read() as connection:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())
