"""Dataset versions of a project: those in its store, and cleaned ones written by ``check --fix``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from residency.data.dataset_versions import VersionDiff, compare_versions, read_version
from residency.errors import DataError, StoreError
from residency.nouns.content_id import id_begins
from residency.nouns.dataset_version import DatasetVersion
from residency.nouns.example import Example
from residency.project.workspace import Workspace
from residency.text.counts import write_count


@dataclass(frozen=True)
class Version:
    """One line of ``residency data list``: the version, and the rounds that trained on it."""

    version: DatasetVersion
    rounds: tuple[str, ...] = ()
    folder: str = ""


def list_versions(ws: Workspace) -> list[Version]:
    """Every version that a round trained on, in order, and every cleaned version on disk."""
    trained: dict[str, list[str]] = {}
    run = ws.store.latest_run()
    for round_, _ in ws.store.rounds(run) if run else []:
        if round_.dataset:
            trained.setdefault(round_.dataset, []).append(f"round {round_.index} {round_.arm}")
    out = [Version(ws.store.dataset(key), tuple(names)) for key, names in trained.items()]
    for folder in sorted((ws.root / "clean").glob("ds-*")):
        out.append(Version(read_version(folder)[0], folder=str(folder)))
    return out


def find_version(ws: Workspace, name: str) -> tuple[DatasetVersion, dict[str, Example]]:
    """A version by folder, id or beginning of one, and those of its rows that are known.

    Raises:
        StoreError: none or several are meant.
    """
    if Path(name).is_dir():
        version, rows = read_version(Path(name))
        return version, {e.id: e for e in rows}
    matches = [v for v in list_versions(ws) if id_begins(v.version.id, name)]
    if len({v.version.id for v in matches}) != 1:
        raise StoreError(
            f"{len(matches)} versions begin with {name!r}",
            next_step="residency data list shows their ids",
        )
    version = matches[0].version
    if matches[0].folder:
        return version, {e.id: e for e in read_version(Path(matches[0].folder))[1]}
    run = ws.store.latest_run()
    known = {e.id: e for e in ws.store.corpus(run)} if run else {}
    return version, {row: known[row] for row in version.rows if row in known}


def diff_versions(ws: Workspace, old: str, new: str) -> tuple[VersionDiff, dict[str, Example]]:
    """What changed between two versions, and the rows that it speaks of.

    Raises:
        StoreError, DataError: a version is not there, or was changed.
    """
    before, rows = find_version(ws, old)
    after, more = find_version(ws, new)
    return compare_versions(before, after), rows | more


def export_version(ws: Workspace, name: str, folder: Path) -> Path:
    """Write a version of the store as Parquet with its manifest.

    Raises:
        DataError: some of its rows are not in the store.
    """
    from residency.data.dataset_versions import write_version

    version, rows = find_version(ws, name)
    if missing := [row for row in version.rows if row not in rows]:
        raise DataError(
            f"{write_count(len(missing), 'row is', 'rows are')} not in the store, e.g. {missing[0]}",
            where=name,
        )
    return write_version(version, [rows[row] for row in version.rows], folder)
