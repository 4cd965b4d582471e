"""Files whose names say their splits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from residency.commands.check import check
from residency.config.data import DataConfig
from residency.config.settings import Config
from residency.data.corpus import load_corpus
from residency.data.reading.named_splits import name_folder_splits, name_split
from residency.errors import ConfigError


def write_rows(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        rows = [{"prompt": f"{name} number {n} of {n * n}", "response": f"{n}"} for n in range(9)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))


def test_names_of_files_say_their_splits(tmp_path: Path) -> None:
    assert [name_split(Path(n)) for n in ("valid.jsonl", "my-test.csv.gz", "train-00000-of-2.parquet")] == ["dev", "test", "train"]  # fmt: skip
    assert name_split(Path("contest.jsonl")) is None and name_split(Path("train_test.csv")) is None
    for name in ("train", "validation", "test", "more"):
        rows = [{"prompt": f"{name} number {n} of {n * n}", "response": f"{n}"} for n in range(4)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert name_folder_splits(tmp_path) == {
        "train": ["more.jsonl", "train.jsonl"],
        "dev": ["validation.jsonl"],
        "test": ["test.jsonl"],
    }
    report = check(tmp_path, base="no such base").report
    assert report.rows == {"train": 8, "dev": 4, "test": 4, "pool": 0}


def test_a_published_test_within_a_folder_is_not_trained_on(tmp_path: Path) -> None:
    write_rows(tmp_path / "data", "train", "test", "more")
    config = Config(data=DataConfig.model_validate({"train": ["data"]}))
    with pytest.raises(ConfigError) as caught:
        load_corpus(config, tmp_path)
    assert 'test = ["data/test.jsonl"]' in caught.value.next_step
    assert 'train = ["data/more.jsonl", "data/train.jsonl"]' in caught.value.next_step


def test_of_a_cleaned_copy_the_rows_that_it_kept_are_read(tmp_path: Path) -> None:
    write_rows(tmp_path / "data", "train", "test")
    train = tmp_path / "data" / "train.jsonl"
    train.write_text(train.read_text() + '{"prompt": "Hi?", "response": ""}\n')
    fixed = check(tmp_path / "data", base="no such base", fix=True).fixed
    assert fixed is not None and fixed.dropped
    report = check(fixed.folder, base="no such base").report
    assert report.rows == {"train": 9, "dev": 0, "test": 9, "pool": 0}
    with pytest.raises(ConfigError, match="named as different splits"):
        load_corpus(Config(data=DataConfig.model_validate({"train": ["."]})), fixed.folder)
