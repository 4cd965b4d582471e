"""What a file says of its rows in columns that are not read is told where it matters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from residency.config.data import DataConfig
from residency.data.reading.source_reader import ReadResult, read_sources

U = {"role": "user", "content": "u"}
ROW = {"prompt": "q", "completion": "an answer"}
PAIR = {"prompt": "q", "chosen": "good", "rejected": "bad"}


def read_rows(folder: Path, rows: list[dict[str, Any]]) -> ReadResult:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_sources(["rows.jsonl"], DataConfig(), "train", folder)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{**ROW, "split": "train"}, {**ROW, "split": "test"}], "split holds test beside others"),
        ([{**ROW, "Set": "train"}, {**ROW, "Set": "Validation"}], "Set holds Validation beside others"),
        ([{**ROW, "corrected_response": "a better one"}], "--column response=corrected_response"),
        ([{**ROW, "Edited Answer": "a better one"}], "--column 'response=Edited Answer'"),
        ([{"messages": [U, {"role": "assistant", "content": "a", "edited": "a better one"}]}],
         "messages[].edited holds texts"),
        ([{**ROW, "finish_reason": "length"}, {**ROW, "finish_reason": "stop"}], "of 1 of the first 2 answers"),
        ([{**PAIR, "score_chosen": 1, "score_rejected": 4}, {**PAIR, "score_chosen": 5, "score_rejected": 4}],
         "score_chosen is below score_rejected in 1 of the first 2 rows"),
        ([{**PAIR, "chosen_rating": 1.5, "rejected_rating": 2}], "chosen_rating is below rejected_rating in 1"),
    ],
)  # fmt: skip
def test_what_changes_the_worth_of_rows_is_told(
    rows: list[dict[str, Any]], said: str, tmp_path: Path
) -> None:
    (note,) = [n for n in read_rows(tmp_path, rows).files[0].ratings if "numbers from" not in n]
    assert said in note


@pytest.mark.parametrize(
    "row",
    [
        {**ROW, "split": "train"}, {**ROW, "set": "a"}, {**ROW, "edited": True}, {**ROW, "edit": "no"},
        {**ROW, "finish_reason": "stop"}, {**PAIR, "score_chosen": 5, "score_rejected": 4},
    ],
)  # fmt: skip
def test_nothing_is_said_without_need(row: dict[str, Any], tmp_path: Path) -> None:
    assert read_rows(tmp_path, [row, row]).files[0].ratings == ()


def test_two_choices_in_columns_stand_in_the_prompt(tmp_path: Path) -> None:
    rows = [{"question": "Which?", "A": "a cat", "B": "a dog", "answer": letter} for letter in "AB"]
    examples = read_rows(tmp_path, rows).examples
    assert [[m.text for m in e.messages] for e in examples] == [
        ["Which?\nA. a cat\nB. a dog", "A"],
        ["Which?\nA. a cat\nB. a dog", "B"],
    ]
