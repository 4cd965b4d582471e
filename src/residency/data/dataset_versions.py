"""Dataset versions: an immutable manifest beside its rows, and what changed between two."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from residency.chat.chat_format import ChatFormat
from residency.errors import DataError
from residency.files.atomic_write import open_draft, write_text
from residency.nouns.content_id import canonical_json
from residency.nouns.dataset_version import DatasetVersion
from residency.nouns.example import Example

MANIFEST, ROWS = "manifest.json", "rows.parquet"


def make_version(
    examples: Sequence[Example],
    chat: ChatFormat | None,
    settings: Mapping[str, Any] | None = None,
    parent: str | None = None,
    note: str = "",
) -> DatasetVersion:
    """The manifest of these rows, in this order, under this chat format and these settings."""
    return DatasetVersion(
        rows=tuple(e.id for e in examples),
        template_hash=chat.hash if chat else "",
        tokenizer_hash=chat.tokenizer_hash if chat else "",
        settings=dict(settings or {}),
        parent=parent,
        note=note,
    )


SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("split", pa.string()),
        ("group", pa.string()),
        ("source", pa.string()),
        ("why", pa.string()),
        ("weight", pa.float64()),
        ("tags", pa.list_(pa.string())),
        ("messages", pa.string()),
        ("rejected", pa.string()),
    ]
)


def rows_table(examples: Sequence[Example]) -> pa.Table:
    """Examples as an Arrow table; messages as canonical JSON."""
    return pa.table(
        {
            "id": [e.id for e in examples],
            "split": [e.split for e in examples],
            "group": [e.group for e in examples],
            "source": [e.source for e in examples],
            "why": [e.why for e in examples],
            "weight": [e.weight for e in examples],
            "tags": [list(e.tags) for e in examples],
            "messages": [canonical_json([m.to_dict() for m in e.messages]) for e in examples],
            "rejected": [e.rejected for e in examples],
        },
        schema=SCHEMA,
    )


def write_version(version: DatasetVersion, examples: Sequence[Example], folder: Path) -> Path:
    """Write ``folder/<id>/`` with the manifest and the rows as Parquet; gives that folder.

    A version that is already there is left as it is: the same id is the same content.

    Raises:
        DataError: the examples are not those of the manifest.
    """
    if tuple(e.id for e in examples) != version.rows:
        raise DataError("the rows are not those of the manifest", where=version.id)
    version_folder = folder / version.id
    if (version_folder / MANIFEST).is_file():
        return version_folder
    version_folder.mkdir(parents=True, exist_ok=True)
    table = rows_table(examples)
    with open_draft(version_folder / ROWS) as draft:
        pq.write_table(table, draft, compression="zstd")
    # The manifest is written last: a folder without one is not a version.
    write_text(version_folder / MANIFEST, manifest_text(version))
    return version_folder


def manifest_text(version: DatasetVersion) -> str:
    """The manifest as JSON."""
    manifest = {
        "id": version.id,
        "rows": list(version.rows),
        "template_hash": version.template_hash,
        "tokenizer_hash": version.tokenizer_hash,
        "settings": dict(version.settings),
        "parent": version.parent,
        "note": version.note,
    }
    return json.dumps(manifest, indent=1, ensure_ascii=False)


def read_version(folder: Path) -> tuple[DatasetVersion, list[Example]]:
    """A written version, every row checked against its content hash.

    Raises:
        DataError: it is not there, or a row or the manifest is not what its id says.
    """
    try:
        raw = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        table = pq.read_table(folder / ROWS)
    except (OSError, ValueError, pa.ArrowInvalid) as error:
        raise DataError(f"not a dataset version: {error}", where=str(folder)) from None
    version = DatasetVersion(
        tuple(raw["rows"]),
        raw["template_hash"],
        raw["tokenizer_hash"],
        raw["settings"],
        raw["parent"],
        raw["note"],
    )
    examples = [
        Example.from_dict({**row, "messages": json.loads(row["messages"])})
        for row in table.to_pylist()
    ]
    for number, (example, known) in enumerate(zip(examples, version.rows, strict=True), 1):
        if example.id != known:
            raise DataError(
                f"row {number} was changed: its content is {example.id}, the manifest says {known}",
                where=str(folder / ROWS),
                next_step="versions are immutable: restore the file, or make a new version",
            )
    if version.id != raw["id"]:
        raise DataError("the manifest was changed", where=str(folder / MANIFEST))
    return version, examples


@dataclass(frozen=True)
class VersionDiff:
    """What changed from one version to another. Rows are example ids."""

    old: str
    new: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    kept: int
    reordered: bool
    template_changed: bool
    tokenizer_changed: bool
    settings: Mapping[str, tuple[Any, Any]]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "old": self.old,
            "new": self.new,
            "added": list(self.added),
            "removed": list(self.removed),
            "kept": self.kept,
            "reordered": self.reordered,
            "template_changed": self.template_changed,
            "tokenizer_changed": self.tokenizer_changed,
            "settings": {name: list(pair) for name, pair in self.settings.items()},
        }


def compare_versions(old: DatasetVersion, new: DatasetVersion) -> VersionDiff:
    """What changed from ``old`` to ``new``."""
    before, after = set(old.rows), set(new.rows)
    both = before & after
    names = sorted({*old.settings, *new.settings})
    return VersionDiff(
        old=old.id,
        new=new.id,
        added=tuple(r for r in new.rows if r not in before),
        removed=tuple(r for r in old.rows if r not in after),
        kept=len(both),
        reordered=[r for r in old.rows if r in both] != [r for r in new.rows if r in both],
        template_changed=old.template_hash != new.template_hash,
        tokenizer_changed=old.tokenizer_hash != new.tokenizer_hash,
        settings={
            name: (old.settings.get(name), new.settings.get(name))
            for name in names
            if old.settings.get(name) != new.settings.get(name)
        },
    )
