"""Make a project: the example, or a settings file for the user's own data."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tomlkit

from residency import examples
from residency.config.settings import CONFIG_NAME, Config, parse_config
from residency.data.reading.source_reader import read_sources
from residency.errors import ConfigError, DataError
from residency.files.atomic_write import write_text
from residency.model.base_model import KNOWN_BASES
from residency.nouns.example import SPLITS

COLUMNS_HINT = "name your columns: --column instruction=NAME --column response=NAME"

README = """# {name}

A Residency project. `residency.toml` says where the data is and how the model is trained;
everything that Residency writes lies in `.residency/`. Your files are never changed.

    residency check .     # what is in the data, before anything is trained
    residency run .       # rounds of train, evaluate, error analysis, targeted data
    residency status .    # the tables again
    residency report .    # one HTML file with the evidence
"""


@dataclass(frozen=True)
class Initialised:
    """What ``init`` made: the folder, its files, and what was found in the data."""

    root: Path
    files: list[str]
    found: dict[str, str] = field(default_factory=dict)


def init(
    root: Path,
    *,
    example: str = "",
    files: Mapping[str, Sequence[Path]] | None = None,
    base: str = "",
    columns: Mapping[str, str] | None = None,
    instruction: str = "",
    name: str = "",
) -> Initialised:
    """Write a project into ``root``.

    Args:
        root: the folder; made when it is missing, must hold no ``residency.toml``.
        example: name of a shipped example (``tickets``).
        files: the user's data files by split; a split that is missing is split off from train.
        base: base model; empty keeps the default.
        columns: the user's column names, e.g. ``{"instruction": "frage"}``.
        instruction: put before every row that has none.
        name: shown in reports; the folder's name when empty.

    Raises:
        ConfigError: there is a project already, or the example is unknown.
        DataError: a data file is missing or cannot be read as examples.
    """
    if (root / CONFIG_NAME).exists():
        raise ConfigError(
            "there is a project here already",
            where=str(root / CONFIG_NAME),
            next_step="edit it, or choose another folder",
        )
    base = _from_project(root, base)
    if example:
        return _copy_example(root, example, base)
    if not files or not files.get("train"):
        raise ConfigError(
            "no data was named",
            next_step="residency init DIR --train FILE, or residency init DIR --example tickets",
        )
    return _write_own(
        root, files, base=base, columns=columns or {}, instruction=instruction, name=name
    )


def _from_project(root: Path, base: str) -> str:
    """A base that is a file or folder, as seen from the project: settings' paths begin there."""
    path = Path(base).expanduser()
    if not base or base in KNOWN_BASES or not path.exists():
        return base
    if path.is_absolute():
        return str(path)
    return Path(os.path.relpath(path.resolve(), root.resolve())).as_posix()


def _copy_example(root: Path, example: str, base: str) -> Initialised:
    files = examples.copy_example(example, root)
    if base:
        path = root / CONFIG_NAME
        document = tomlkit.parse(path.read_text(encoding="utf-8"))
        document.setdefault("model", tomlkit.table())["base"] = base
        write_text(path, tomlkit.dumps(document))
    return Initialised(root, [str(file.relative_to(root)) for file in files])


def _write_own(
    root: Path,
    files: Mapping[str, Sequence[Path]],
    *,
    base: str,
    columns: Mapping[str, str],
    instruction: str,
    name: str,
) -> Initialised:
    document = tomlkit.document()
    project = tomlkit.table()
    project["name"] = name or root.resolve().name
    document["project"] = project
    model = tomlkit.table()
    model["base"] = base or Config().model.base
    document["model"] = model
    table = tomlkit.table()
    for split in SPLITS:
        if files.get(split):
            table[split] = [_relative(path, root) for path in files[split]]
    if columns:
        inline = tomlkit.inline_table()
        inline.update(dict(columns))
        table["columns"] = inline
    if instruction:
        table["instruction"] = instruction
    document["data"] = table
    text = tomlkit.dumps(document)
    config = parse_config(document.unwrap())
    found = _look(config, root, files)
    root.mkdir(parents=True, exist_ok=True)
    write_text(root / CONFIG_NAME, text)
    made = [CONFIG_NAME]
    if not (root / "README.md").exists():
        write_text(root / "README.md", README.format(name=project["name"]))
        made.append("README.md")
    return Initialised(root, made, found)


def _look(config: Config, root: Path, files: Mapping[str, Sequence[Path]]) -> dict[str, str]:
    """Read every file once, so that a wrong mapping is told now and not in the middle of a run."""
    found = {}
    for split in SPLITS:
        for path in files.get(split, ()):
            if not path.exists():
                raise DataError("there is no such file", where=str(path))
            try:
                result = read_sources([str(path.resolve())], config.data, split, root)
            except DataError as error:
                raise DataError(error.what, where=error.where, next_step=COLUMNS_HINT) from None
            if not result.examples:
                first = f"; the first: {result.rejects[0]}" if result.rejects else ""
                raise DataError(
                    f"no row could be read ({len(result.rejects)} were refused{first})",
                    where=str(path),
                    next_step=COLUMNS_HINT,
                )
            found[str(path)] = f"{len(result.examples)} rows, {result.format}" + (
                f", {len(result.rejects)} refused" if result.rejects else ""
            )
    return found


def _relative(path: Path, root: Path) -> str:
    target, start = path.resolve(), root.resolve()
    if target.is_relative_to(start):
        return os.path.relpath(target, start)
    return str(target)
