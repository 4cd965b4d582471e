"""Marks of turns and rows that must not be learned, under the names that files have for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from residency.config.data import DataConfig
from residency.data.reading.marked_turns import read_marked_turns
from residency.data.reading.source_reader import ReadResult, read_sources


def read_rows(root: Path, rows: list[dict[str, Any]], **settings: Any) -> ReadResult:
    (root / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_sources(["a.jsonl"], DataConfig(**settings), "train", root)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("weight", 0),
        ("Weight", 0.0),
        ("WEIGHT", "0.0"),
        ("Train", "No"),
        ("trainable", "False"),
        ("loss_mask", 0),
        ("step_loss_mask", 0),
        ("compute_loss", False),
        ("Masked", True),
        ("is_masked", 1),
        ("no_loss", "true"),
    ],
)
def test_a_turn_with_a_mark_is_context_whatever_the_case(
    tmp_path: Path, key: str, value: Any
) -> None:
    turns = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "bad", key: value},
        {"role": "user", "content": "p"},
        {"role": "assistant", "content": "good"},
    ]
    result = read_rows(tmp_path, [{"messages": turns}])
    assert [m.trained for m in result.examples[0].messages if m.role == "assistant"] == [
        False,
        True,
    ]
    assert result.files[0].unused == ()


def test_a_mark_for_a_part_of_a_turn_is_refused_in_any_case(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a", "Train_Detail": [{"begin_offset": 0}]},
    ]
    result = read_rows(tmp_path, [{"messages": turns}])
    assert "only whole turns" in result.rejects[0].reason


@pytest.mark.parametrize(
    ("column", "good", "bad"),
    [
        ("label", "correct", "incorrect"),
        ("review_status", "approved", "rejected"),
        ("Thumbs Up", True, False),
        ("thumbs_down", False, True),
        ("feedback", "positive", "negative"),
        ("human_label", "good", "bad"),
        ("status", "accept", "reject"),
        ("discard", 0, 1),
        ("is_chosen", "1.0", "0.0"),
    ],
)
def test_answers_that_people_called_bad_stay_out(
    tmp_path: Path, column: str, good: Any, bad: Any
) -> None:
    rows = [{"question": "q", "answer": f"a{n}", column: [good, bad][n % 2]} for n in range(6)]
    result = read_rows(tmp_path, rows)
    assert [e.messages[1].content for e in result.examples] == ["a0", "a2", "a4"]
    assert {(r.field, r.reason) for r in result.rejects} == {
        (column, "the row is labelled as a bad answer")
    }


@pytest.mark.parametrize(("column", "good", "bad"), [("toxic", False, True), ("verdict", "pass", "fail"), ("correct", 1, 0), ("binary_label", 1, 0), ("type", "chosen", "rejected"), ("rating", "👍", "👎")])  # fmt: skip
def test_a_column_that_may_mark_bad_answers_is_told_with_the_way_out(
    tmp_path: Path, column: str, good: Any, bad: Any
) -> None:
    rows = [{"question": "q", "answer": f"a{n}", column: [good, bad][n % 2]} for n in range(6)]
    result = read_rows(tmp_path, rows)
    assert len(result.examples) == 6
    assert f"--column label={column}" in result.files[0].ratings[0]
    result = read_rows(tmp_path, rows, columns={"label": column})
    assert [e.messages[1].content for e in result.examples] == ["a0", "a2", "a4"]
    assert result.files[0].ratings == ()


def test_classes_of_texts_are_no_marks(tmp_path: Path) -> None:
    rows = [{"question": "q", "answer": "a", "label": w} for w in ("positive", "negative")]
    result = read_rows(tmp_path, rows)
    assert len(result.examples) == 2
    assert result.files[0].ratings == ()


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ("<|header_start|>user<|header_end|>\n\nq<|eot|><|header_start|>assistant<|header_end|>\n\na<|eot|>", ""),
        ("<|start_of_role|>user<|end_of_role|>q<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>a<|end_of_text|>\n", ""),
        ("<BOS_TOKEN><|START_OF_TURN_TOKEN|><|USER_TOKEN|>q<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>a<|END_OF_TURN_TOKEN|>", ""),
        ("<｜begin▁of▁sentence｜><｜User｜>q<｜Assistant｜>a<｜end▁of▁sentence｜>", ""),
        ("<s>[SYSTEM_PROMPT]be kind[/SYSTEM_PROMPT][INST]q[/INST]a</s>", "be kind"),
        ("A chat between a user and an assistant. USER: q ASSISTANT: a</s>", "A chat between a user and an assistant."),
    ],
)  # fmt: skip
def test_written_out_chats_of_more_families_are_turns(text: str, system: str) -> None:
    turns = [(m.role, m.content) for m in read_marked_turns(text)]
    expected = [("user", "q"), ("assistant", "a")]
    assert turns == ([("system", system)] if system else []) + expected
    assert read_marked_turns(f"It begins with {text}") == ()
