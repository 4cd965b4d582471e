"""Settings that a person changes while a project is set up: the base model, the cleaned data, review.

Each is a line of ``residency.toml``; the file keeps its comments and its order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import tomlkit

from residency.commands.check import Checked, check
from residency.config.settings import CONFIG_NAME, parse_config
from residency.errors import ConfigError, DataError
from residency.files.atomic_write import write_text
from residency.interfaces import Progress, no_progress
from residency.nouns.example import SPLITS


def set_base(root: Path, base: str) -> None:
    """Name another base model.

    Raises:
        ConfigError: the settings cannot be written so.
    """
    if not base.strip():
        raise ConfigError("no base model was named", next_step="residency base list")
    _change(root, lambda document: _table(document, "model").update({"base": base.strip()}))


def set_review(root: Path, wanted: bool) -> None:
    """Whether a run waits for a person before it trains rows that issues drew."""
    _change(root, lambda document: _table(document, "target").update({"review": wanted}))


def use_cleaned_data(
    root: Path, *, keep: Collection[str] = (), progress: Progress = no_progress
) -> Checked:
    """Write a cleaned version of the data (``check --fix``) and let the settings name it.

    ``keep``: kinds of rows that it does not leave out, as ``check``.

    The files of the user stay as they are, beside it.

    Raises:
        DataError: there is nothing to leave out.
    """
    checked = check(root, fix=True, keep=keep, progress=progress)
    fixed = checked.fixed
    if fixed is None or not sum(fixed.dropped.values()):
        raise DataError("there is nothing to leave out", next_step="go on with the data as it is")
    files = {split: fixed.folder / f"{split}.jsonl" for split in SPLITS}
    names = {
        split: path.resolve().relative_to(root.resolve()).as_posix()
        for split, path in files.items()
        if path.exists()
    }

    def name_files(document: Any) -> None:
        data = _table(document, "data")
        for split in SPLITS:
            if split in names:
                data[split] = [names[split]]
            elif split in data:
                del data[split]
        for name in ("columns", "instruction", "split_at", "least", "format", "split"):
            if name in data:  # the cleaned rows stand in the one layout that needs none of these
                del data[name]

    _change(root, name_files)
    return checked


def _table(document: Any, name: str) -> Any:
    if name not in document:
        document[name] = tomlkit.table()
    return document[name]


def _change(root: Path, change: Callable[[Any], object]) -> None:
    path = root / CONFIG_NAME
    try:
        document = tomlkit.parse(path.read_text(encoding="utf-8"))
        change(document)
        text = tomlkit.dumps(document)
        parse_config(document.unwrap(), where=str(path), text=text)
        write_text(path, text)
    except (OSError, tomlkit.exceptions.TOMLKitError) as error:
        raise ConfigError(f"the settings cannot be changed: {error}", where=str(path)) from None
