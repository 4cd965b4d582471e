"""A small real run on a tiny random model, made once a test session, with hostile text in its rows.

Tests read it; those that write take a copy (``copy_run``).
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from filelock import FileLock

from small import save_model, save_project

EVIL = "<script>alert('pwned')</script>"
CONTROL = "\x0b\x1b]0;title\x07\u202egnp"
"""Characters that drive terminals, break XML and turn text around."""


def make_finished_run(folder: Path) -> Path:
    """Train, evaluate and judge a small project; gives its folder."""
    from residency.commands.project import Project

    root = save_project(folder / "project", save_model(folder / "model"))
    for name in ("train", "dev", "test"):
        path = root / f"{name}.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows[::4]:
            row["input"] += f" {EVIL}"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    Project.open(root).run()
    return root


def share_finished_run(factory: pytest.TempPathFactory) -> Path:
    """The run of this test session; the first of several processes makes it."""
    base = factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder = shared / "finished-run"
    with FileLock(shared / "finished-run.lock"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make_finished_run(folder)
            (folder / "done").touch()
    return folder / "project"


def copy_run(source: Path, folder: Path) -> Path:
    """A copy of a run to write to."""
    return Path(shutil.copytree(source, folder))


def spoil_answers(root: Path, text: str) -> None:
    """Put a text into every stored answer, tag and source, as a hostile model or file would."""
    from residency.store.stored_bodies import read_response

    with sqlite3.connect(root / ".residency" / "store.db") as db:
        for old, stored in db.execute("SELECT id, body FROM responses").fetchall():
            body = json.loads(stored)
            body["text"] = f"{text} {body['text']}"
            new = read_response(body).id  # an answer is named by its text
            db.execute(
                "UPDATE responses SET id = ?, body = ? WHERE id = ?", (new, json.dumps(body), old)
            )
            for table in ("findings", "outcomes"):
                db.execute(f"UPDATE {table} SET response = ? WHERE response = ?", (new, old))
            db.execute(
                "UPDATE findings SET body = json_set(body, '$.response', ?) WHERE response = ?",
                (new, new),
            )
        for example, stored in db.execute("SELECT example, body FROM run_examples").fetchall():
            body = {**json.loads(stored), "tags": [f"note={text}"], "source": text}
            db.execute(
                "UPDATE run_examples SET body = ? WHERE example = ?", (json.dumps(body), example)
            )


def tell_answers_apart(root: Path) -> None:
    """Let each answer end in words of its own: a tiny model says the same to everything."""
    from residency.store.stored_bodies import read_response
    from residency.text.words import hash_text

    with sqlite3.connect(root / ".residency" / "store.db") as db:
        for old, stored in db.execute("SELECT id, body FROM responses").fetchall():
            body = json.loads(stored)
            body["text"] += f" word {hash_text(old)[-6:]}"
            new = read_response(body).id
            db.execute(
                "UPDATE responses SET id = ?, body = ? WHERE id = ?", (new, json.dumps(body), old)
            )
            for table in ("findings", "outcomes"):
                db.execute(f"UPDATE {table} SET response = ? WHERE response = ?", (new, old))
            db.execute(
                "UPDATE findings SET body = json_set(body, '$.response', ?) WHERE response = ?",
                (new, new),
            )
