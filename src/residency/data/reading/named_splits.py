"""Files whose names say which split they are."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from residency.data.reading.sources import Source, find_sources, list_data_files
from residency.errors import ConfigError
from residency.nouns.example import Split

_SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "valid": "dev",
    "validation": "dev",
    "val": "dev",
    "eval": "dev",
    "development": "dev",
    "test": "test",
    "testing": "test",
    "pool": "pool",
}
_MOST_NAMED = 3
"""Files that an error names for a split."""


def name_split(path: Path) -> Split | None:
    """The split that a file's name says: ``valid.jsonl``, ``my-test.csv.gz``, ``train-00000-of-2``;
    None where it says none, or two."""
    parts = re.split(r"[^a-z]+", path.name.lower())
    splits = {_SPLIT_NAMES[part] for part in parts if part in _SPLIT_NAMES}
    return splits.pop() if len(splits) == 1 else None


def _name_split_within(path: Path) -> Split | None:
    """The split that a file's name says, else the nearest folder's (``train/data-00000.arrow``)."""
    names = [path, *path.parents]
    return next((split for name in names if (split := name_split(name))), None)


def name_folder_splits(folder: Path) -> dict[Split, list[str]]:
    """The data files of a folder by split (relative paths), where at least one is named as train and
    one as dev or test; nothing otherwise. Files whose names say no split count as train."""
    paths = list_data_files(folder)
    named = {path: _name_split_within(path.relative_to(folder)) for path in paths}
    if "train" not in named.values() or not {"dev", "test"} & set(named.values()):
        return {}
    splits: dict[Split, list[str]] = {}
    for path, split in named.items():
        splits.setdefault(split or "train", []).append(path.relative_to(folder).as_posix())
    return splits


def find_split_sources(paths: Sequence[str], root: Path, split: Split) -> list[Source]:
    """The sources that the settings name for a split (``find_sources``).

    Raises:
        ConfigError: a folder among them has files whose names say another split, so that, say, a
            published test would be trained on.
        DataError: nothing is there, or a file is empty.
    """
    for spec in paths:
        folder = root / spec
        named = name_folder_splits(folder) if folder.is_dir() else {}
        if set(named) - {split}:
            lines = [
                f"{name} = {json.dumps([f'{spec}/{file}' for file in files[:_MOST_NAMED]])}"
                + (f" and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else "")
                for name, files in named.items()
            ]
            raise ConfigError(
                f"the files of {spec} are named as different splits",
                where=f"residency.toml [data] {split}",
                next_step="name the files by split: " + "; ".join(lines),
            )
    return find_sources(paths, root)
