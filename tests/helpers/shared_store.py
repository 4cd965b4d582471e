"""A finished run in a PostgreSQL store, as two people of a team open it: each in a folder of their own."""

from __future__ import annotations

import shutil
from pathlib import Path

from sqlalchemy import create_engine, func, select, text

from residency.store import schema
from residency.store.store import Store


def share_run(source: Path, folders: list[Path], url: str) -> None:
    """Copy a run's SQLite store into the database, and its files into the folders."""
    for folder in folders:
        shutil.copytree(source, folder)
        settings = folder / "residency.toml"
        words = settings.read_text().replace("[project]", f'[project]\nstore = "{url}"', 1)
        settings.write_text(words)
        for stored in (folder / ".residency").glob("store.db*"):
            stored.unlink()
    Store(folders[0], url).close()
    old = create_engine(f"sqlite:///{source / '.residency' / 'store.db'}")
    new = create_engine(url)
    with old.connect() as reader, new.begin() as writer:
        writer.execute(text("SET session_replication_role = replica"))  # whatever comes first
        for table in schema.metadata.sorted_tables:
            rows = [dict(row._mapping) for row in reader.execute(select(table))]
            writer.execute(table.delete())
            if rows:
                writer.execute(table.insert(), rows)
        for table in schema.metadata.sorted_tables:
            for column in table.primary_key:
                counter = text("SELECT pg_get_serial_sequence(:table, :column)")
                names = {"table": table.name, "column": column.name}
                if counter := writer.execute(counter, names).scalar_one():
                    last = writer.execute(select(func.max(column))).scalar_one()
                    writer.execute(
                        text("SELECT setval(:counter, :last)"),
                        {"counter": counter, "last": last or 1},
                    )
    old.dispose()
    new.dispose()
