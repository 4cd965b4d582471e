"""Options that the last run was started with hold for what comes after, until they are forgotten."""

from __future__ import annotations

import re
from pathlib import Path

from residency.commands.project import Project
from residency.project.opened_settings import (
    RUN_OPTIONS,
    find_opened_settings,
    is_opened_full,
    list_run_options,
    read_config_as_opened,
    write_run_options,
)
from residency.project.settings_file import read_config
from residency.store.record_kind import RecordKind
from small import save_model, save_project

DOCS = Path(__file__).parents[2] / "docs"


def open_limited(folder: Path) -> Path:
    """A project that uses eight of its training rows."""
    root = save_project(folder / "project", save_model(folder / "model"))
    settings = root / "residency.toml"
    text = re.sub(r"(?m)^limit = .*\n", "", settings.read_text())
    settings.write_text(text.replace("[data]", "[data]\nlimit = { train = 8 }", 1))
    return root


def test_all_rows_and_options_are_kept_until_a_run_without_them(tmp_path: Path) -> None:
    root = open_limited(tmp_path)
    first = Project.open(root, overrides={"rounds.max": 3}, full=True, as_opened=False)
    every = len(first.split("train"))
    assert every > 8
    run = first.open_run()
    (opened,) = first.store.records(RecordKind.RUN_OPENED, run)
    assert write_run_options(list_run_options(opened)) == ["--rounds", "3", "--full"]
    first.store.close()

    later = Project.open(root)
    assert (later.run_id, len(later.split("train")), later.config.rounds.max) == (run, every, 3)
    later.store.close()
    assert is_opened_full(root, read_config(root))
    assert read_config_as_opened(root).rounds.max == 3

    plain = Project.open(root, as_opened=False)
    assert len(plain.split("train")) == 8
    plain.open_run()
    plain.store.close()
    again = Project.open(root)
    assert (len(again.split("train")), again.run_id) == (8, plain.run_id)
    assert find_opened_settings(root, read_config(root)) == {}
    again.store.close()


def test_a_setting_that_the_file_names_anew_takes_the_place_of_the_option(tmp_path: Path) -> None:
    root = open_limited(tmp_path)
    first = Project.open(root, overrides={"project.seed": 5}, as_opened=False)
    first.open_run()
    first.store.close()
    assert Project.open(root).config.project.seed == 5
    settings = root / "residency.toml"
    text = re.sub(r"(?m)^seed = .*\n", "", settings.read_text())
    settings.write_text(text.replace("[project]", "[project]\nseed = 7", 1))
    assert Project.open(root).config.project.seed == 7


def test_the_page_names_every_option_that_is_kept() -> None:
    page = (DOCS / "run-options.md").read_text()
    rows = dict(re.findall(r"^\| `(--[a-z]+)`[^|]*\| `([a-z_.]+)`", page, re.MULTILINE))
    kept = {option: name for name, option in RUN_OPTIONS.items()}
    assert rows == {**kept, "--base": "model.base", "--full": "data.limit"}
