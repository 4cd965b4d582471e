"""What exports wrote and showed, step by step as records of the store: for pages, and for later."""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from residency.errors import ResidencyError
from residency.nouns.issue_change import IssueChange
from residency.project.progress_file import is_alive
from residency.store.record_kind import RecordKind
from residency.store.store import Store

if TYPE_CHECKING:
    from residency.commands.export import ExportResult, FileResult


@dataclass(frozen=True)
class LoggedFile:
    """A file of an export as its proof left it; ``refused`` says why it was deleted.

    ``score`` is None where it was not graded; ``speed`` is in tokens a second.
    """

    file: str
    size: int
    score: float | None
    refused: str = ""
    prompts: int = 0
    same_text: int = 0
    ended: int = 0
    expected_ends: int = 0
    speed: float = 0.0
    issues: tuple[IssueChange, ...] = ()


_SHOWN = frozenset(one.name for one in fields(LoggedFile))


@dataclass
class LoggedExport:
    """An export that began. ``score``: of the model's answers on dev.

    ``ended`` is False while it goes on, and for ever where its process was killed.
    """

    id: str
    at: str
    model: str
    folder: Path
    export_format: str
    margin: float
    graded: bool
    process: int
    quantisations: list[str] = field(default_factory=list)
    score: float | None = None
    files: list[LoggedFile] = field(default_factory=list)
    ended: bool = False
    refused: str = ""
    notes: list[str] = field(default_factory=list)
    licences: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        """The options of the command that does the same."""
        words = f"--model {self.model} --format {self.export_format}"
        if self.quantisations:
            words += f" --quantise {','.join(self.quantisations)}"
        words += f" --out {shlex.quote(str(self.folder))} --margin {100 * self.margin:g}"
        return words if self.graded else f"{words} --no-grade"

    @property
    def is_running(self) -> bool:
        """Whether its process still works."""
        return not self.ended and is_alive(self.process)

    @property
    def is_there(self) -> bool:
        """Whether the folder that it wrote is there."""
        return self.ended and not self.refused and self.folder.is_dir()

    @property
    def kept_files(self) -> list[LoggedFile]:
        """Files that passed."""
        return [file for file in self.files if not file.refused]

    @property
    def issue_titles(self) -> dict[str, str]:
        """Issues that any file was graded by, those first that rose most."""
        rises: dict[str, float] = {}
        titles: dict[str, str] = {}
        for row in (row for file in self.files for row in file.issues):
            titles[row.issue] = row.title
            rises[row.issue] = max(row.rise, rises.get(row.issue, row.rise))
        return {key: titles[key] for key in sorted(titles, key=lambda key: -rises[key])}


class ExportLog:
    """Writes the steps of one export; the writer lock is held by who exports."""

    def __init__(self, store: Store, model: str) -> None:
        self._store = store
        self._model = model
        self._id = secrets.token_hex(8)

    @contextmanager
    def follow(self, body: Mapping[str, Any]) -> Iterator[None]:
        """Tell that it begins, and why it ends without a result where it does."""
        self._add("begun", {**body, "process": os.getpid()})
        try:
            yield
        except ResidencyError as error:
            self._add("ended", {"refused": error.what})
            raise

    def add_score(self, score: float | None) -> None:
        """The mean item score of the model's answers on dev."""
        self._add("scored", {"score": score})

    def add_file(self, row: FileResult) -> None:
        """A file, as soon as it is proved and graded."""
        proof = asdict(row.proof) if row.proof else {}
        issues = [asdict(change) for change in row.issues]
        fields = {"file": row.file, "size": row.size, "score": row.score, "refused": row.refused}
        self._add("file", fields | {"proof": proof, "issues": issues})

    def add_end(self, result: ExportResult) -> None:
        """The folder is there, or why not."""
        refused = ""
        if not result.written:
            reasons = "; ".join(f"{row.file}: {row.refused}" for row in result.files)
            refused = f"no file passed, nothing was written: {reasons}"
        body = {"notes": result.notes, "licences": result.licences, "refused": refused}
        self._add("ended", body)

    def _add(self, event: str, body: Mapping[str, Any]) -> None:
        self._store.add_record(
            RecordKind.EXPORT, self._model, {"export": self._id, "event": event, **body}
        )


def list_exports(store: Store) -> list[LoggedExport]:
    """Every export of a project, the newest first."""
    exports: dict[str, LoggedExport] = {}
    for record in store.records(RecordKind.EXPORT):
        key, event = record["export"], record["event"]
        if event == "begun":
            exports[key] = LoggedExport(
                id=key,
                at=record["at"],
                model=record["model"],
                folder=Path(record["folder"]),
                export_format=record["format"],
                margin=record["margin"],
                graded=record["graded"],
                process=record["process"],
                quantisations=record.get("quantisations", []),
            )
        elif key in exports:
            _add_event(exports[key], event, record)
    return list(reversed(exports.values()))


def _add_event(export: LoggedExport, event: str, record: Mapping[str, Any]) -> None:
    if event == "scored":
        export.score = record["score"]
    elif event == "file":
        # Another version's proof may say more, or less.
        proof = {k: v for k, v in record["proof"].items() if k in _SHOWN}
        issues = tuple(IssueChange(**row) for row in record["issues"])
        facts = {name: record[name] for name in ("file", "size", "score", "refused")}
        export.files.append(LoggedFile(**facts, **proof, issues=issues))
    elif event == "ended":
        export.ended = True
        export.refused = record.get("refused", "")
        export.notes = record.get("notes", [])
        export.licences = record.get("licences", [])
