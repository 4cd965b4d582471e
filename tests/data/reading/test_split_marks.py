"""Prompts inside raw texts are found, divided when asked, and never evaluated as nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from residency.config.data import DataConfig
from residency.config.settings import Config
from residency.data.corpus import load_corpus
from residency.data.reading.source_reader import read_sources
from residency.data.reading.split_marks import (
    describe_mark,
    find_split_mark,
    parse_mark,
    suggest_division,
)
from residency.errors import DataError

SQL = [f"table: t{n} ({'abc' * n})\nQ: how many of {n * n}?\nA: SELECT {n}" for n in range(30)]


@pytest.mark.parametrize(
    ("texts", "mark"),
    [
        (SQL, "\nA:"),
        (
            [f"### Instruction:\nDo {n}\n\n### Response:\nDone {n}" for n in range(9)],
            "### Response:",
        ),
        ([f"word{n} -> wort{n}" for n in range(9)], " ->"),
        ([f"[INST] do {n} [/INST] done {n}" for n in range(9)], "[/INST]"),
        ([f"dog{n} <sep> Hund{n}" for n in range(9)], "<sep>"),
        ([f"Long text {n}\nTL;DR: short {n}" for n in range(9)], "\nTL;DR:"),
        ([f"in {n}\n###\nout {n} END" for n in range(9)], "\n###\n"),
        ([f"Q: what {n}? A: that {n}" for n in range(9)], " A: "),
        ([f"Just a text about {n}.\nAnd more of it." for n in range(9)], ""),
        ([], ""),
    ],
)
def test_the_mark_that_ends_prompts_is_found(texts: list[str], mark: str) -> None:
    assert find_split_mark(texts) == mark


@pytest.mark.parametrize("mark", ["\nA:", "a\\nb", "\t", " ->"])
def test_a_mark_is_written_and_read_alike(mark: str) -> None:
    assert parse_mark(describe_mark(mark).removeprefix("--split-at '").removesuffix("'")) == mark


def test_raw_text_is_not_split_into_dev_rows_without_prompts(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in SQL))
    with pytest.raises(DataError, match="nothing could be asked") as caught:
        load_corpus(Config(data=DataConfig(train=["a.jsonl"])), tmp_path)  # type: ignore[list-item]
    assert r'split_at = "\nA:"' in caught.value.next_step
    divided = DataConfig.model_validate({"train": ["a.jsonl"], "split_at": "\nA:"})
    corpus = load_corpus(Config(data=divided), tmp_path)
    assert {e.reference for e in corpus.examples} <= {f"SELECT {n}" for n in range(30)}
    assert corpus.split("dev") and all(e.prompt_text.startswith("table:") for e in corpus.examples)


@pytest.mark.parametrize(
    ("question", "answer", "between"),
    [
        ("Q:", "A:", "\n"),
        ("Frage:", "Antwort:", "\n"),
        ("问：", "答：", "\n"),
        ("س:", "ج:", "\n"),
        ("**User:**", "**Assistant:**", "\n\n"),
    ],
)
def test_each_question_of_a_plain_text_file_is_a_row_with_its_own_answer(
    tmp_path: Path, question: str, answer: str, between: str
) -> None:
    words = " ".join(["word"] * 12)
    text = "\n\n".join(
        f"{question} {words} {n}?{between}{answer} {words} {n}.\nMore.\n\nEnd {n}."
        for n in range(60)
    )
    (tmp_path / "qa.txt").write_text(text, encoding="utf-8")
    raw = read_sources(["qa.txt"], DataConfig(train=["qa.txt"]), "train", tmp_path)
    mark = find_split_mark([e.messages[0].content for e in raw.examples])
    assert mark == f"\n{answer}"
    config = DataConfig(train=["qa.txt"], split_at=mark)
    result = read_sources(["qa.txt"], config, "train", tmp_path)
    assert not result.rejects and len(result.examples) == 60
    lines = text.split("\n")
    for n, example in enumerate(result.examples):
        assert example.messages[0].content.endswith(f"{n}?")
        assert example.reference == f"{words} {n}.\nMore.\n\nEnd {n}."
        line = int(example.source.rpartition(":")[2])
        assert lines[line - 1] == f"{question} {words} {n}?"


def test_two_answers_to_one_question_of_a_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "qa.txt").write_text("Q: a\nA: b\nA: c\n\nQ: d\nA: e\n", encoding="utf-8")
    config = DataConfig(train=["qa.txt"], split_at="\nA:")
    result = read_sources(["qa.txt"], config, "train", tmp_path)
    assert [e.reference for e in result.examples] == ["e"]
    assert [r.line for r in result.rejects] == [1] and "2 times" in result.rejects[0].reason


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("**Q: q{n}?**\n", "A: a{n}."),
        ("**User:** q{n}?\n", "**Assistant:** a{n}."),
        ("### Question\nq{n}?\n", "### Answer\na{n}."),
        ("سؤال: q{n}؟", "جواب: a{n}."),
        ("Frage: q{n}?\nund mehr", "Antwort: a{n}.\n\nzweiter Absatz"),
    ],
)
def test_a_short_file_of_questions_is_divided_as_offered(
    tmp_path: Path, question: str, answer: str
) -> None:
    """Also where a title stands above the first question."""
    pairs = "\n\n".join(f"{question}\n{answer}".replace("{n}", str(n)) for n in range(4))
    for title in ("", "# FAQ\n\nOur answers.\n\n"):
        (tmp_path / "faq.md").write_text(title + pairs)
        raw = read_sources(["faq.md"], DataConfig(), "train", tmp_path)
        mark = find_split_mark([e.messages[0].content for e in raw.examples])
        result = read_sources(["faq.md"], DataConfig(split_at=mark), "train", tmp_path)
        read = [[m.content for m in e.messages] for e in result.examples]
        assert [f"q{n}" in q and f"a{n}" in a for n, (q, a) in enumerate(read)] == [True] * 4
        assert all(a.startswith("a") for _, a in read)
        assert len(result.rejects) == bool(title)


def test_headings_that_ask_are_written_as_rows_by_the_command(tmp_path: Path) -> None:
    text = "# FAQ\n" + "".join(f"\n## What is {n}?\n\nIt is {n}.\n\n#{n} too.\n" for n in range(4))
    step = suggest_division([text])
    (tmp_path / "my faq.md").write_text(text)
    command = step.partition("rows: python")[2].replace("FILE", "'my faq.md'")
    subprocess.run(f"{sys.executable}{command}", shell=True, cwd=tmp_path, check=True)
    result = read_sources(["rows.jsonl"], DataConfig(), "train", tmp_path)
    read = [[m.content for m in e.messages] for e in result.examples]
    assert read == [[f"What is {n}?", f"It is {n}.\n\n#{n} too."] for n in range(4)]
