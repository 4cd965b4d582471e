"""Settings: unknown keys are refused by name, defaults hold, every field has its help text."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from residency import errors
from residency.commands.check import check
from residency.config.settings import Config, load_config, parse_config
from residency.errors import ConfigError, ResidencyError


def sections() -> list[tuple[str, type[BaseModel]]]:
    out = []
    for name, field in Config.model_fields.items():
        assert isinstance(field.annotation, type)
        out.append((name, field.annotation))
    return out


def test_every_setting_has_a_meaning_in_its_reference() -> None:
    """The page is made from the docstrings below the fields, and is never stale (test_docs)."""
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    for name, section in sections():
        table = page.partition(f"## `[{name}]`\n")[2].partition("\n## ")[0]
        meanings = dict(re.findall(r"(?m)^\| `(\w+)` \| .*? \| (.*) \|$", table))
        for key in section.model_fields:
            assert len(meanings[key].split()) >= 2, f"{name}.{key} has no docstring"


def test_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match=r"'train.learning_rat' \(did you mean 'learning_rate'\?\)"
    ):
        parse_config({"train": {"learning_rat": 1}})


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({"train": {"rank": 0}, "modle": {}})
    assert "train.rank" in str(caught.value)
    assert "'modle' (did you mean 'model'?)" in str(caught.value)


def test_broken_toml_names_the_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "residency.toml"
    path.write_text("[model]\nbase = \n")
    with pytest.raises(ConfigError, match=r"residency\.toml.*line 2"):
        load_config(path)
    with pytest.raises(ConfigError, match="residency init"):
        load_config(tmp_path / "none" / "residency.toml")


def test_errors_are_picklable_standard_and_have_an_exit_code() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ResidencyError)
    ]
    assert len(kinds) > 10
    for kind in kinds:
        error = kind("what", where="f:1", next_step="do")
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is kind
        assert str(again) == str(error) == "f:1: what\n→ do"
        assert error.exit_code in (1, 2)
        if kind not in (ResidencyError, errors.UserError):
            standard = [b for b in kind.__mro__ if b.__module__ == "builtins"]
            assert len(standard) > 3, f"{kind.__name__} is no standard-library error"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"data": {"split": {"train": 0.0, "dev": 0}}}, "a share above 0"),
        ({"data": {"split": {"trian": 0.5}}}, "data.split.trian: input should be 'train'"),
        ({"data": {"limit": 4}}, "data.limit: input should be a table"),
        ({"train": {"batch_size": 10**20}}, "at most 2^53"),
        ({"train": {"learning_rate": -(10.0**20)}}, "at most 2^53"),
        ({"train": {"epochs": float("inf")}}, "finite"),
    ],
)
def test_settings_out_of_range_are_refused_in_words(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=r"train|data") as caught:
        parse_config(table)
    assert said in str(caught.value)


def test_a_settings_file_that_is_a_folder_is_told_by_check(tmp_path: Path) -> None:
    (tmp_path / "residency.toml").mkdir()
    (tmp_path / "rows.jsonl").write_text('{"question": "a", "answer": "b"}\n')
    with pytest.raises(ConfigError, match="is a folder"):
        check(tmp_path)
