"""What people wrote is never lost, and joins train and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from residency.config.settings import Config
from residency.data.collected_rows import (
    COLLECTED,
    append_collected,
    hash_prompt,
    is_collected,
    read_collected,
)
from residency.data.corpus import load_corpus
from residency.nouns.example import Example, Message


def make_row(number: int, answer: str = "", rejected: str | None = "worse") -> Example:
    turns = (
        Message("user", f"How is the weather in town number {number} on day {number * 7}?"),
        Message("assistant", answer or f"It is {number} degrees there."),
    )
    why = "person ada" if rejected else "template"
    return Example(turns, split="train", tags=("t",), source="x:1", why=why, rejected=rejected)


def write_project(root: Path, names: list[str] | None = None) -> Config:
    lines = [
        {"prompt": f"Tell me of item {n}, the one with mark {n * 13 % 89}.", "completion": f"{n} a"}
        for n in range(40)
    ]
    path = root / "rows.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    data = {"train": names or ["rows.jsonl"], "limit": {"train": 10}}
    return Config.model_validate({"data": data})


def test_a_row_comes_back_with_split_pair_and_why(tmp_path: Path) -> None:
    row = make_row(1)
    append_collected(tmp_path, [row], model="m-1", failures=["wrong"])
    rows = read_collected(tmp_path)
    [example] = rows.examples
    assert (example.messages, example.tags, example.rejected) == (row.messages, ("t",), "worse")
    assert example.split == "train"
    assert example.source == f"{COLLECTED}:1 after x:1"
    assert example.why == "person ada; in place of an answer of m-1"
    assert (rows.prompts, rows.origins) == ([hash_prompt(row)], ["person"])
    assert is_collected(example) is False  # its own way in names where it was before
    line = json.loads((tmp_path / COLLECTED).read_text())
    assert line["split"] == "train" and line["provenance"]["failures"] == ["wrong"]


@pytest.mark.parametrize("tear", range(1, 60, 7))
def test_a_torn_last_line_neither_blocks_nor_glues(tmp_path: Path, tear: int) -> None:
    append_collected(tmp_path, [make_row(1), make_row(2)])
    path = tmp_path / COLLECTED
    torn = path.read_bytes()[:-tear]
    path.write_bytes(torn)
    append_collected(tmp_path, [make_row(3)])
    assert path.read_bytes().startswith(torn), "nothing is thrown away"
    assert path.read_bytes().endswith(b"\n")
    rows = read_collected(tmp_path)
    numbers = [1, 2, 3] if tear == 1 else [1, 3]  # a line that lacks only its end is whole
    assert [e.reference for e in rows.examples] == [f"It is {n} degrees there." for n in numbers]
    assert [number for number, _ in rows.unreadable] == ([] if tear == 1 else [2])
    assert any(f"{COLLECTED}:2" in note for note in rows.write_notes()) == (tear > 1)


@given(st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=5))
def test_any_answer_comes_back(
    tmp_path_factory: pytest.TempPathFactory, answers: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for number, answer in enumerate([*answers, "a\x85b\u2028c\r\nd"]):
        append_collected(folder, [make_row(number, f"x{answer}")])
    rows = read_collected(folder)
    expected = [f"x{answer}" for answer in [*answers, "a\x85b\u2028c\r\nd"]]
    assert [e.reference for e in rows.examples] == expected


@pytest.mark.parametrize("names", [["rows.jsonl"], ["rows.jsonl", COLLECTED], ["*.jsonl"]])
def test_pain_44_collected_rows_join_train_and_never_dev_test_or_pool(
    tmp_path: Path, names: list[str]
) -> None:
    config = write_project(tmp_path, names)
    before = {e.id: e.split for e in load_corpus(write_project(tmp_path), tmp_path).examples}
    append_collected(tmp_path, [make_row(n, rejected=None) for n in range(12)])
    corpus = load_corpus(config, tmp_path)
    collected = [e for e in corpus.examples if e.source.startswith(COLLECTED)]
    assert [e.split for e in collected] == ["train"] * 12
    assert {e.id: e.split for e in corpus.examples if e.id in before} == before
    assert any("12 rows of collected.jsonl join train" in note for note in corpus.notes)


def test_pain_44_a_collected_row_near_dev_is_left_out(tmp_path: Path) -> None:
    config = write_project(tmp_path)
    dev = load_corpus(config, tmp_path).split("dev")[0]
    leak = Example((*dev.prompt, Message("assistant", "better")), split="train", why="person ada")
    append_collected(tmp_path, [leak])
    corpus = load_corpus(config, tmp_path)
    assert not [e for e in corpus.examples if e.source.startswith(COLLECTED)]
    [removed] = [r for r in corpus.removed if r.source.startswith(COLLECTED)]
    assert removed.kind == "contamination"


def test_preferences_take_only_rows_with_a_worse_answer(tmp_path: Path) -> None:
    append_collected(tmp_path, [make_row(1), make_row(2, rejected=None)])
    rows = read_collected(tmp_path).take_pairs()
    assert [e.rejected for e in rows.examples] == ["worse"]
    assert any("1 row of collected.jsonl holds no worse answer" in n for n in rows.write_notes())


@pytest.mark.parametrize("line", ["{}", "[]", "null", '{"messages": 5}', "\ud800", "{", '"x"'])
def test_a_line_that_is_no_row_is_told(tmp_path: Path, line: str) -> None:
    (tmp_path / COLLECTED).write_bytes(line.encode("utf-8", "surrogatepass") + b"\n")
    append_collected(tmp_path, [make_row(1)])
    rows = read_collected(tmp_path)
    assert len(rows.examples) == 1
    assert [number for number, _ in rows.unreadable] == [1]
