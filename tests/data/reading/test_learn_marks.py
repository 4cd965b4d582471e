"""What must not be learned is not, however the file says so: on a turn, beside the turns, on the row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from residency.config.data import DataConfig
from residency.data.reading.learn_marks import read_mark_name
from residency.data.reading.source_reader import PROBE_ROWS, ReadResult, read_sources
from residency.errors import DataError

U = {"role": "user", "content": "u"}
BAD = {"role": "assistant", "content": "bad"}
GOOD = {"role": "assistant", "content": "good"}


def read_rows(folder: Path, rows: list[Any], split: str = "train") -> ReadResult:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_sources(["rows.jsonl"], DataConfig(), split, folder)  # type: ignore[arg-type]


def list_learned(result: ReadResult) -> list[list[str]]:
    return [
        [m.content for m in e.messages if m.role == "assistant" and m.trained]
        for e in result.examples
    ]


@pytest.mark.parametrize(
    ("mark", "no"),
    [
        ("skip", True), ("ignore", 1), ("excluded", "yes"), ("include", False), ("is_target", 0),
        ("context_only", True), ("supervised", "false"), ("metadata", {"train": False}), ("meta", {"weight": 0}),
    ],
)  # fmt: skip
def test_other_words_for_a_turn_that_is_context(tmp_path: Path, mark: str, no: Any) -> None:
    result = read_rows(tmp_path, [{"messages": [U, {**BAD, mark: no}, U, GOOD]}])
    assert list_learned(result) == [["good"]]


def test_words_that_name_other_things_are_no_marks(tmp_path: Path) -> None:
    assert [
        read_mark_name(name)
        for name in ("id", "name", "label", "target_language", "loss_reason", "no")
    ] == [None] * 6
    rows = [{"messages": [U, {**GOOD, "target": "sql", "context": "a shop", "label": 7}]}]
    result = read_rows(tmp_path, rows)
    assert list_learned(result) == [["good"]]
    assert result.files[0].unused == ("messages[].label",)


def test_a_mask_alone_may_mean_either_and_is_asked_about(tmp_path: Path) -> None:
    (reject,) = read_rows(tmp_path, [{"messages": [U, {**BAD, "mask": 1}, U, GOOD]}]).rejects
    assert reject.field == "messages[1].mask"
    assert "loss_mask (1: learned) or masked (true: not learned)" in reject.reason


@pytest.mark.parametrize("marks", [[0, 0, 0, 1], [0, 1]])
def test_marks_in_a_list_beside_the_turns(tmp_path: Path, marks: list[int]) -> None:
    talk = [U, BAD, U, GOOD]
    result = read_rows(tmp_path, [{"messages": talk, "loss_mask": marks}])
    assert list_learned(result) == [["good"]] and result.files[0].unused == ()
    (reject,) = read_rows(tmp_path, [{"messages": talk, "loss_mask": [1, 0, 1]}]).rejects
    assert reject.reason == "3 marks for 4 turns with 2 answers"


@pytest.mark.parametrize(("mark", "no"), [("train", False), ("exclude", 1), ("do_not_train", True)])
def test_a_row_that_is_marked_is_left_out_of_training_alone(
    tmp_path: Path, mark: str, no: Any
) -> None:
    rows = [{"prompt": "p", "completion": "c", mark: no}, {"prompt": "q", "completion": "d"}]
    result = read_rows(tmp_path, rows)
    assert [r.reason for r in result.rejects] == ["the row is marked as not to be learned"]
    assert result.files[0].unused == ()
    assert len(read_rows(tmp_path, rows, "test").examples) == 2


def test_a_value_or_class_of_such_a_name_is_no_mark_of_the_row(tmp_path: Path) -> None:
    rows = [{"prompt": "p", "completion": "c", "target": 0, "loss": 0.0, "context": "false alarm"}]
    assert len(read_rows(tmp_path, rows).examples) == 1


@pytest.mark.parametrize(
    ("key", "no", "yes"),
    [
        ("good", False, True), ("label", 0, 1), ("label", "bad", "good"), ("thumbs", "down", "up"), ("thumbs", -1, 1),
        ("is_good", "false", "true"), ("flagged", True, False), ("rejected", 1, 0), ("correct", False, True),
        ("status", "rejected", "approved"), ("feedback", "negative", "positive"), ("Thumbs Down", True, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("written", [list, json.dumps])
def test_a_turn_that_its_file_calls_bad_is_not_learned_and_told(
    tmp_path: Path, key: str, no: Any, yes: Any, written: Any
) -> None:
    row = {"messages": written([U, {**BAD, key: no}, U, {**GOOD, key: yes}])}
    result = read_rows(tmp_path, [row, {"messages": written([U, GOOD])}])
    assert list_learned(result) == [["good"], ["good"]]
    assert result.files[0].changed == {f"a turn that messages[].{key} calls bad is not learned": 1}
    assert result.files[0].unused == ()


@pytest.mark.parametrize(
    ("key", "values"), [("label", (0, 2)), ("status", ("open", "failed")), ("topic", (0, 1))]
)
def test_a_key_with_classes_calls_no_turn_bad(
    tmp_path: Path, key: str, values: tuple[Any, Any]
) -> None:
    rows = [{"messages": [U, {**BAD, key: values[0]}, U, {**GOOD, key: values[1]}]}]
    result = read_rows(tmp_path, rows)
    assert list_learned(result) == [["bad", "good"]]
    assert result.files[0].unused == (f"messages[].{key}",)


def test_no_answer_that_is_called_bad_is_a_reference(tmp_path: Path) -> None:
    row = {"messages": [U, {**BAD, "good": False}]}
    (reject,) = read_rows(tmp_path, [row], "dev").rejects
    assert (reject.field, reject.reason) == ("messages[1].good", "the last answer is marked as bad")
    (reject,) = read_rows(tmp_path, [row]).rejects
    assert reject.reason == "every answer is marked as not to be learned"


def test_turns_rated_below_the_least_are_not_learned(tmp_path: Path) -> None:
    rows = [{"messages": [U, {**BAD, "rating": 1}, U, {**GOOD, "rating": 5}]}]
    (note,) = read_rows(tmp_path, rows).files[0].ratings
    assert "turns that it calls bad are trained like good ones" in note
    assert "--least 'messages[].rating=4'" in note
    config = DataConfig(least={"messages[].rating": 4})
    result = read_sources(["rows.jsonl"], config, "train", tmp_path)
    assert list_learned(result) == [["good"]]
    with pytest.raises(DataError, match=r"no column 'messages\[\].score'"):
        read_sources(["rows.jsonl"], DataConfig(least={"messages[].score": 4}), "train", tmp_path)


def test_marks_that_come_late_in_a_file_are_followed(tmp_path: Path) -> None:
    """What a file holds is found out of its first rows; only bad rows may have a mark at all."""
    many = [{"messages": [{**U, "content": f"u {n}"}, GOOD]} for n in range(PROBE_ROWS)]
    turn = {"messages": [U, {**BAD, "good": False}, U, GOOD]}
    result = read_rows(tmp_path, [*many, turn, {"messages": [U, BAD], "label": False}])
    assert list_learned(result) == [["good"]] * (PROBE_ROWS + 1)
    assert result.files[0].changed == {"a turn that messages[].good calls bad is not learned": 1}
    assert [(reject.line, reject.field) for reject in result.rejects] == [(PROBE_ROWS + 2, "label")]
