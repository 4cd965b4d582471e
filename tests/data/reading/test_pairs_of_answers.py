"""Two or more answers and a verdict, as public preference sets have them: the better one is trained."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from residency.config.data import DataConfig
from residency.data.reading.layouts.chatgpt_export import OTHER_BRANCHES
from residency.data.reading.layouts.preference import PARTED
from residency.data.reading.layouts.squad import SEVERAL_ANSWERS
from residency.data.reading.source_reader import ReadResult, read_sources
from residency.errors import DataError
from residency.nouns.example import Split


def read_rows(root: Path, rows: list[dict[str, Any]], split: Split = "train") -> ReadResult:
    (root / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_sources(["a.jsonl"], DataConfig(), split, root)


def talk(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    # answers; the verdict for the first; the verdict for the second
    "arena": (
        {"conversation_a": talk("q", "one"), "conversation_b": talk("q", "two")},
        {"winner": "model_a"},
        {"winner": "model_b"},
    ),
    "shp": (
        {"history": "q", "human_ref_A": "one", "human_ref_B": "two"},
        {"labels": 1},
        {"labels": 0},
    ),
    "safe-rlhf": (
        {"prompt": "q", "response_0": "one", "response_1": "two"},
        {"better_response_id": 0},
        {"better_response_id": 1},
    ),
    "alpaca eval": (
        {"instruction": "q", "output_1": "one", "output_2": "two"},
        {"preference": 1.0},
        {"preference": "2"},
    ),
    "helpsteer": (
        {"context": talk("q", "")[:1], "response1": "one", "response2": "two"},
        {"overall_preference": -2},
        {"overall_preference": 1},
    ),
    "kaggle": (
        {"prompt": '["q"]', "response_a": '["one"]', "response_b": '["two"]'},
        {"winner_model_a": 1, "winner_model_b": 0},
        {"winner_model_a": 0, "winner_model_b": 1},
    ),
    "words": (
        {"question": "q", "answer_a": "one", "answer_b": "two"},
        {"winner": "A"},
        {"winner": "answer_b"},
    ),
    "label": (
        {"prompt": "q", "model_a_response": "one", "model_b_response": "two"},
        {"label": "a"},
        {"label": "b"},
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_verdict_names_the_trained_answer(tmp_path: Path, shape: str) -> None:
    answers, first, second = SHAPES[shape]
    result = read_rows(tmp_path, [{**answers, **first}, {**answers, **second}] * 3)
    assert result.format == "comparison"
    read = [(*(m.content for m in e.messages), e.rejected) for e in result.examples]
    assert read == [("q", "one", "two"), ("q", "two", "one")] * 3


def test_ties_and_verdicts_that_name_nothing_are_refused(tmp_path: Path) -> None:
    answers = {"prompt": "q", "response_a": "one", "response_b": "two"}
    verdicts = ["tie (bothbad)", "both", "0", "c", "model_a"]
    result = read_rows(tmp_path, [{**answers, "winner": v} for v in verdicts])
    assert len(result.examples) == 1
    assert [r.line for r in result.rejects] == [1, 2, 3, 4]
    assert "a tie" in result.rejects[0].reason
    assert "'0' names neither response_a nor response_b" in result.rejects[2].reason


def test_choices_of_a_question_are_no_comparison(tmp_path: Path) -> None:
    row = {"context": "c", "question": "q", "answerA": "x", "answerB": "y", "answerC": "z", "label": "1"}  # fmt: skip
    assert read_rows(tmp_path, [row]).format != "comparison"


@pytest.mark.parametrize(
    "row",
    [
        {
            "instruction": "q",
            "completions": [
                {"response": "mid", "overall_score": 8.5, "fine-grained_score": 3.0},
                {"response": "best", "overall_score": 7, "fine-grained_score": 4.5},
                {"response": "worst", "overall_score": 9, "fine-grained_score": 1.0},
            ],
        },
        {
            "prompt": "q",
            "answers": [
                {"answer": "worst", "rank": 7.0},
                {"answer": "mid", "rank": 2},
                {"answer": "best", "rank": 1},
            ],
        },
        {"question": "q", "answers": ["mid", "worst", "best"], "ranks": [2, 3, 1]},
        {"prompt": "q", "responses": ["mid", "worst", "best"], "scores": ["0.2", -1, 9]},
    ],
)
def test_of_rated_answers_the_best_is_trained_against_the_worst(
    tmp_path: Path, row: dict[str, Any]
) -> None:
    result = read_rows(tmp_path, [row])
    (example,) = result.examples
    assert [m.content for m in example.messages] == ["q", "best"]
    assert example.rejected == "worst"
    assert list(result.files[0].changed.values()) == [1]


def test_answers_that_are_rated_alike_are_refused(tmp_path: Path) -> None:
    good = [{"text": "a", "score": 2}, {"text": "b", "score": 1}]
    alike = [{"text": "a", "score": 1}, {"text": "b", "score": 1}]
    result = read_rows(tmp_path, [{"prompt": "q", "answers": a} for a in (good, alike)])
    assert len(result.examples) == 1
    assert "rated alike" in result.rejects[0].reason


def test_each_question_of_squad_is_a_row_with_its_context(tmp_path: Path) -> None:
    asked = [
        {"question": "q1", "answers": [{"text": "b"}, {"text": "a"}, {"text": "a"}]},
        {"question": "q2", "answers": [], "is_impossible": True},
    ]
    file = {"version": "v2.0", "data": [{"title": "t", "paragraphs": [{"context": "c", "qas": asked}]}]}  # fmt: skip
    (tmp_path / "dev.json").write_text(json.dumps(file))
    result = read_sources(["dev.json"], DataConfig(), "train", tmp_path)
    (example,) = result.examples
    assert [(m.content, m.input) for m in example.messages] == [("q1", "c"), ("a", "")]
    assert result.files[0].changed == {SEVERAL_ANSWERS: 1}
    assert "is_impossible" in result.rejects[0].reason


def test_the_last_branch_of_an_exported_chat_is_read(tmp_path: Path) -> None:
    def node(parent: str | None, role: str, text: str, children: list[str]) -> dict[str, Any]:
        content = {"content_type": "text", "parts": [text]}
        message = {"author": {"role": role}, "content": content}
        return {"message": message, "parent": parent, "children": children}

    mapping = {
        "root": {"message": None, "parent": None, "children": ["s"]},
        "s": node("root", "system", "", ["q"]),
        "q": node("s", "user", "q", ["old", "new"]),
        "old": node("q", "assistant", "old", []),
        "new": node("q", "assistant", "new", []),
    }
    result = read_rows(tmp_path, [{"title": "t", "mapping": mapping, "current_node": "new"}])
    assert [m.content for m in result.examples[0].messages] == ["q", "new"]
    assert result.files[0].changed == {OTHER_BRANCHES: 1}


def test_turns_that_hold_input_and_output_are_pairs(tmp_path: Path) -> None:
    rows = [{"conversation": [{"input": "q", "output": "a"}, {"input": "p", "output": "b"}]}]
    result = read_rows(tmp_path, rows)
    assert [m.content for m in result.examples[0].messages] == ["q", "a", "p", "b"]
    assert result.files[0].unused == ()


def test_what_is_missing_names_the_column_that_holds_it(tmp_path: Path) -> None:
    result = read_rows(tmp_path, [{"id": "x", "question": "q", "sql": "SELECT 1"}])
    assert "--column response=sql" in result.rejects[0].reason


@pytest.mark.parametrize("verdict", [0, "0.0", 1.5, None])
def test_a_verdict_of_numbers_may_name_neither(tmp_path: Path, verdict: Any) -> None:
    answers = {"instruction": "q", "output_1": "one", "output_2": "two"}
    result = read_rows(tmp_path, [{**answers, "preference": p} for p in (verdict, 2)])
    assert [e.rejected for e in result.examples] == ["one"]
    assert result.rejects[0].reason in ("a tie: neither answer is the better one", "no verdict")


@pytest.mark.parametrize(
    "row",
    [
        {"messages": talk("q", "good"), "rejected_response": "worse"},
        {"messages": talk("q", "good"), "rejected_messages": talk("q", "worse")},
        {"query": "q", "response": "good", "rejected_response": "worse"},
        {"instruction": "q", "output": "good", "rejected": "worse"},
    ],
)
def test_a_worse_answer_beside_a_row_makes_a_pair(tmp_path: Path, row: dict[str, Any]) -> None:
    (example,) = read_rows(tmp_path, [row]).examples
    assert [m.content for m in example.messages] == ["q", "good"]
    assert example.rejected == "worse"


def test_a_mark_called_rejected_is_no_answer(tmp_path: Path) -> None:
    rows = [
        {"question": "q", "answer": f"a{n}", "rejected": ["no", "yes"][n % 2]} for n in range(4)
    ]
    result = read_rows(tmp_path, rows)
    assert [e.messages[1].content for e in result.examples] == ["a0", "a2"]
    assert result.format == "question"


def test_an_array_of_rows_is_read_whatever_its_file_is_called(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(json.dumps([{"prompt": "q", "completion": "a"}] * 2, indent=2))
    (tmp_path / "b.txt").write_text('[Enter HAMLET]\n{ "aside": } Words, words, words.')
    result = read_sources(["a.txt", "b.txt"], DataConfig(), "train", tmp_path)
    assert [f.layout for f in result.files] == ["prompt", "text"]


def test_token_ids_are_no_rows_of_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="token ids") as caught:
        read_rows(tmp_path, [{"input_ids": [1, 2], "attention_mask": [1, 1], "labels": [-100, 2]}])
    assert "file of texts" in caught.value.next_step


def test_of_conversations_that_part_early_the_better_one_is_trained_whole(tmp_path: Path) -> None:
    as_text = {
        "chosen": "\n\nHuman: q\n\nAssistant: a\n\nHuman: p\n\nAssistant: good",
        "rejected": "\n\nHuman: q\n\nAssistant: b\n\nHuman: r\n\nAssistant: worse",
    }
    as_turns = {
        "chosen": [*talk("q", "a"), *talk("p", "good")],
        "rejected": [*talk("q", "b"), *talk("r", "worse")],
    }
    for row in (as_text, as_turns):
        result = read_rows(tmp_path, [row] * 2)
        (example, _) = result.examples
        assert [m.content for m in example.messages] == ["q", "a", "p", "good"]
        assert example.rejected is None and result.files[0].changed == {PARTED: 2}


def test_conversations_that_begin_apart_are_no_pair(tmp_path: Path) -> None:
    row = {
        "chosen": [*talk("q", "a"), *talk("p", "good")],
        "rejected": [*talk("x", "b"), *talk("p", "c")],
    }
    reason = read_rows(tmp_path, [row] * 2).rejects[0].reason
    field, _, column = reason.partition("--column ")[2].partition("=")
    config = DataConfig(columns={field: column})
    (example, _) = read_sources(["a.jsonl"], config, "train", tmp_path).examples
    assert [m.content for m in example.messages] == ["q", "a", "p", "good"]


@pytest.mark.parametrize(
    ("answer", "asking"),
    [
        (
            {"custom_id": "x", "response": {"body": {"choices": [{"message": {"role": "assistant", "content": "a"}}]}}},
            {"custom_id": "x", "body": {"messages": talk("q", "")[:1]}},
        ),
        (
            {"custom_id": "x", "result": {"message": {"content": [{"type": "text", "text": "a"}]}}},
            {"custom_id": "x", "params": {"messages": talk("q", "")[:1]}},
        ),
        (
            {"request": {"contents": [{"role": "user", "parts": [{"text": "q"}]}]},
             "response": {"candidates": [{"content": {"role": "model", "parts": [{"text": "a"}]}}]}},
            {},
        ),
    ],
)  # fmt: skip
def test_answers_of_a_batch_are_joined_by_the_command(
    tmp_path: Path, answer: dict[str, Any], asking: dict[str, Any]
) -> None:
    (tmp_path / "requests.jsonl").write_text(json.dumps(asking) + "\n")
    with pytest.raises(DataError) as caught:
        read_rows(tmp_path, [answer])
    command = f"{sys.executable}{caught.value.next_step.partition('python')[2]}"
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    (example,) = read_sources(["rows.jsonl"], DataConfig(), "train", tmp_path).examples
    assert [m.content for m in example.messages] == ["q", "a"]
