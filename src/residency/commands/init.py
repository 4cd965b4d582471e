"""Make a project: the example, or a settings file for the user's data."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tomlkit

from residency import examples
from residency.config.settings import CONFIG_NAME, Config, parse_config
from residency.data.reading.named_splits import name_folder_splits
from residency.data.reading.source_reader import read_sources
from residency.data.reading.split_marks import suggest_division
from residency.errors import ConfigError, DataError, ResidencyError
from residency.files.atomic_write import write_text
from residency.nouns.example import SPLITS, Split
from residency.project.settings_file import name_base_from
from residency.text.counts import write_count
from residency.text.percent import write_percent

ENOUGH_DEV = 60
"""Items of dev from which `init` says nothing about their number."""

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
    """What ``init`` made: the folder, its files, and notes on the data."""

    root: Path
    files: list[str]
    notes: dict[str, str] = field(default_factory=dict)


def init(
    root: Path,
    *,
    example: str = "",
    files: Mapping[str, Sequence[Path]] | None = None,
    base: str = "",
    columns: Mapping[str, str] | None = None,
    instruction: str = "",
    split_at: str = "",
    least: Mapping[str, float] | None = None,
    name: str = "",
    suite: bool = True,
) -> Initialised:
    """Write a project into ``root``.

    Args:
        root: the folder; made when it is missing, must hold no ``residency.toml``.
        example: name of a shipped example (``tickets``).
        files: the user's data files by split; a split that is missing is split off from train.
        base: base model; empty keeps the default.
        columns: the user's column names, e.g. ``{"instruction": "frage"}``.
        instruction: put before every row that has none. split_at: the mark within raw text that
            ends the prompt. least: least values of columns of ratings.
        name: shown in reports; the folder's name when empty.
        suite: draft a test suite from the data, where its rows have references.

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
    base = name_base_from(root, base)
    if example:
        return _copy_example(root, example, base)
    if not files or not files.get("train"):
        raise ConfigError(
            "no data was named",
            next_step="residency init DIR --train FILE, or residency init DIR --example tickets",
        )
    project = _write_own_project(
        root,
        _name_folder_splits(files),
        base=base,
        columns=columns or {},
        instruction=instruction,
        split_at=split_at,
        least=least or {},
        name=name,
    )
    return _draft_suite(project) if suite else project


def _draft_suite(project: Initialised) -> Initialised:
    """Draft a suite where the data gives one; what speaks against it is told, and stops nothing."""
    from residency.commands.suite import SUITE_FILE, write_suite_draft
    from residency.project.settings_file import read_config
    from residency.project.workspace import Workspace
    from residency.results.blind_spots import describe_blind_spots

    if (project.root / SUITE_FILE).exists():
        return project
    try:
        drafted = write_suite_draft(
            Workspace(project.root, read_config(project.root)), use=True, compare=False
        )
    except ResidencyError as error:
        project.notes["suite"] = f"none was drafted ({error.what})"
        return project
    rules = len(drafted.draft.tables)
    sentence = f"drafted with {write_count(rules, 'rule')} from {write_count(drafted.draft.references, 'row')}"
    if drafted.drafted is not None:
        sentence += f". {describe_blind_spots(drafted.drafted)}"
    project.notes["suite"] = sentence
    return Initialised(project.root, [*project.files, SUITE_FILE], project.notes)


def _name_folder_splits(files: Mapping[str, Sequence[Path]]) -> dict[str, list[Path]]:
    """The files by split; a folder named as the only source of train is opened where the names of
    its files say train and dev or test."""
    by_split = {split: list(paths) for split, paths in files.items()}
    others = [split for split in ("dev", "test", "pool") if by_split.get(split)]
    if others or len(by_split["train"]) != 1 or not by_split["train"][0].is_dir():
        return by_split
    folder = by_split["train"][0]
    named = name_folder_splits(folder)
    if not named:
        return by_split
    opened: dict[str, list[Path]] = {s: [folder / n for n in names] for s, names in named.items()}
    return {**opened, "replay": by_split.get("replay", [])}


def _guard_against_forgetting() -> tomlkit.items.Table:
    """New projects ask base and final model the simple questions that ship, seconds at a run's end."""
    rounds = tomlkit.table()
    rounds.comment("has the final model forgotten what everybody knows? docs/benchmarks.md")
    rounds["guard"] = ["everyday"]
    rounds["guard_items"] = 300
    return rounds


def _copy_example(root: Path, example: str, base: str) -> Initialised:
    files = examples.copy_example(example, root)
    if base:
        path = root / CONFIG_NAME
        document = tomlkit.parse(path.read_text(encoding="utf-8"))
        document.setdefault("model", tomlkit.table())["base"] = base
        write_text(path, tomlkit.dumps(document))
    return Initialised(root, [str(file.relative_to(root)) for file in files])


def _write_own_project(
    root: Path,
    files: Mapping[str, Sequence[Path]],
    *,
    base: str,
    columns: Mapping[str, str],
    instruction: str,
    split_at: str,
    least: Mapping[str, float],
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
    if split_at:
        table["split_at"] = split_at
    if least:
        inline = tomlkit.inline_table()
        inline.update(dict(least))
        table["least"] = inline
    document["data"] = table
    document["rounds"] = _guard_against_forgetting()
    text = tomlkit.dumps(document)
    config = parse_config(document.unwrap())
    notes = _look_at_files(config, root, files)
    root.mkdir(parents=True, exist_ok=True)
    write_text(root / CONFIG_NAME, text)
    file_names = [CONFIG_NAME]
    if not (root / "README.md").exists():
        write_text(root / "README.md", README.format(name=project["name"]))
        file_names.append("README.md")
    return Initialised(root, file_names, notes)


def _look_at_files(
    config: Config, root: Path, files: Mapping[str, Sequence[Path]]
) -> dict[str, str]:
    """Read every file once, so that a wrong mapping is told now and not in the middle of a run.

    Raises:
        DataError: a file cannot be read as examples, or dev or test would be raw text.
    """
    notes = {}
    counts = dict.fromkeys(SPLITS, 0)
    for split in SPLITS:
        for path in files.get(split, ()):
            if not path.exists():
                raise DataError("there is no such file", where=str(path))
            try:
                result = read_sources([str(path.resolve())], config.data, split, root)
            except DataError as error:
                step = error.next_step or COLUMNS_HINT
                raise DataError(error.what, where=error.where, next_step=step) from None
            if not result.examples:
                first = f"; the first: {result.rejects[0]}" if result.rejects else ""
                raise DataError(
                    f"no row could be read ({len(result.rejects)} were refused{first})",
                    where=str(path),
                    next_step=COLUMNS_HINT,
                )
            raw = [e.messages[0].content for e in result.examples if not e.prompt]
            if split == "train" and len(raw) > len(result.examples) / 2:
                _need_prompts(raw, path, files)
            counts[split] += len(result.examples)
            rows = write_count(len(result.examples), "row")
            notes[str(path)] = f"{rows}, {result.format}" + (
                f", {len(result.rejects)} refused (the first: {result.rejects[0]})"
                if result.rejects
                else ""
            )
    if need := _describe_need(counts, config):
        notes["rows"] = need
    return notes


def _need_prompts(raw: Sequence[str], path: Path, files: Mapping[str, Sequence[Path]]) -> None:
    """That raw text is not to be split into dev and test.

    Raises:
        DataError: it is, and so nothing could be asked.
    """
    if files.get("dev") and files.get("test"):
        return
    raise DataError(
        "the rows are raw text without prompts: dev and test rows could not be asked anything",
        where=str(path),
        next_step=suggest_division(raw)
        or "name --dev and --test files with prompts, or use residency pretrain",
    )


def _describe_need(counts: Mapping[Split, int], config: Config) -> str:
    """What a run could show with so few rows; empty where there are enough.

    An exact McNemar test needs six items that change for p < 0.05: of n items a fall of less than
    6/n cannot be shown.
    """
    shares = config.data.split
    total = sum(shares.values())
    items = counts["dev"] or int(counts["train"] * shares.get("dev", 0.0) / total)
    if items >= ENOUGH_DEV:
        return ""
    rows = math.ceil(round(ENOUGH_DEV * total / max(shares.get("dev", 0.0), 1e-9), 6))
    able = (
        f"a fall of less than {write_percent(6 / items, 0)} of the items cannot be shown"
        if items >= 6
        else ("no change at all can be shown")
    )
    return f"too few to show much: dev has about {items} items, on which {able}; " + (
        f"name a dev file of {ENOUGH_DEV} rows or more"
        if counts["dev"]
        else f"{write_count(rows, 'row gives', 'rows give')} it {ENOUGH_DEV}"
    )


def _relative(path: Path, root: Path) -> str:
    target, start = path.resolve(), root.resolve()
    if target.is_relative_to(start):
        return os.path.relpath(target, start)
    return str(target)
