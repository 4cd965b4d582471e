"""Conversations in files that are no lists of messages: dialogues, question lists, MOSS, harmony, pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from residency.config.data import DataConfig
from residency.data.reading.harmony import read_harmony_text
from residency.data.reading.layouts.dialogue import IN_TURN
from residency.data.reading.source_reader import ReadResult, read_sources
from residency.errors import DataError


def read_text(folder: Path, name: str, text: str) -> ReadResult:
    (folder / name).write_text(text, encoding="utf-8")
    return read_sources([name], DataConfig(), "train", folder)


def read_rows(folder: Path, rows: list[Any]) -> ReadResult:
    return read_text(folder, "rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def list_turns(result: ReadResult) -> list[tuple[str, str]]:
    return [(m.role, m.content) for m in result.examples[0].messages]


TALK = [("user", "Hi."), ("assistant", "Hello."), ("user", "Bye."), ("assistant", "See you.")]


@pytest.mark.parametrize(
    "row",
    [
        {"dialog": ["Hi.", " Hello. ", "Bye.", "See you.", "a question at the end"], "act": [1, 2, 1, 2, 1]},
        {"utterances": ["Hi.", "Hello.", "Bye.", "See you."]},
        {"dialogue": [{"text": w, "act": "x"} for w in ("Hi.", "Hello.", "Bye.", "See you.")]},
    ],
)  # fmt: skip
def test_turns_without_speakers_are_read_in_turn_and_told(
    tmp_path: Path, row: dict[str, Any]
) -> None:
    result = read_rows(tmp_path, [row] * 3)
    assert list_turns(result) == TALK
    assert result.files[0].layout == "dialogue" and result.files[0].changed[IN_TURN] == 3


def test_turns_that_say_who_speaks_in_another_way_are_not_guessed(tmp_path: Path) -> None:
    turns = [{"text": "Hi.", "is_user": True}, {"text": "Are you there?", "is_user": True}]
    result = read_rows(tmp_path, [{"dialogue": turns}] * 3)
    assert result.examples == [] and "unknown role" in result.rejects[0].reason


def test_a_text_file_of_a_dialogue_a_line(tmp_path: Path) -> None:
    line = "Hi. __eou__ Hello. __eou__ Bye. __eou__ See you. __eou__\n"
    result = read_text(tmp_path, "dialogues_text.txt", line + "\n" + line.replace("Hi.", "Hey."))
    assert list_turns(result) == TALK
    assert [e.source for e in result.examples] == ["dialogues_text.txt:1", "dialogues_text.txt:3"]


QUESTIONS = [("user", "Who?"), ("assistant", "a cat"), ("user", "When?"), ("assistant", "once")]


@pytest.mark.parametrize(
    "row",
    [
        {"story": "S.", "questions": [{"input_text": "Who?"}, {"input_text": "When?"}],
         "answers": [{"input_text": "a cat", "span_text": "a cat sat"}, {"input_text": "once"}]},
        {"story": "S.", "questions": ["Who?", "When?"], "answers": {"input_text": ["a cat", "once"], "answer_start": [0, 1]}},
        {"context": "S.", "questions": ["Who?", "When?"], "answers": {"texts": [["a cat", "cat"], ["once"]]}},
    ],
)  # fmt: skip
def test_lists_of_questions_about_a_text_are_a_conversation(
    tmp_path: Path, row: dict[str, Any]
) -> None:
    result = read_rows(tmp_path, [row, {**row, "questions": row["questions"][:1]}])
    assert list_turns(result) == QUESTIONS
    assert result.examples[0].messages[0].input == "S."
    assert result.rejects[0].reason == "as many answers as questions are expected, found 2 for 1"


def moss_turn(human: str, moss: str, commands: str = "None") -> dict[str, str]:
    return {
        "Human": f"<|Human|>: {human}<eoh>\n",
        "Inner Thoughts": "<|Inner Thoughts|>: None<eot>\n",
        "Commands": f"<|Commands|>: {commands}<eoc>\n",
        "MOSS": f"<|MOSS|>: {moss}<eom>\n",
    }


def test_turns_of_moss_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    chat = {"turn_10": moss_turn("Bye.", "See you."), "turn_2": moss_turn("Hi.", "Hello.")}
    row = {"meta_instruction": "Be kind.\n", "chat": chat}
    calling = {"chat": {"turn_1": moss_turn("Hi.", "Hello.", 'Search("x")')}}
    result = read_rows(tmp_path, [row, calling])
    assert list_turns(result) == [("system", "Be kind."), *TALK]
    assert "MOSS's own tools" in result.rejects[0].reason
    text = "[Human]: Hi.<eoh> [MOSS]: Hello.<eoa> [Human]: Bye.<eoh> [MOSS]: See you.<eoa>"
    assert list_turns(read_rows(tmp_path, [{"plain_text": text}])) == TALK


HARMONY = (
    "<|start|>system<|message|>S.<|end|><|start|>developer<|message|>D.<|end|>"
    "<|start|>user<|message|>Weather?<|end|>"
    "<|start|>assistant<|channel|>analysis<|message|>Look it up.<|end|>"
    '<|start|>assistant<|channel|>commentary to=functions.find <|constrain|>json<|message|>{"at": 1}<|call|>'
    "<|start|>functions.find to=assistant<|channel|>commentary<|message|>sun<|end|>"
    "<|start|>assistant<|channel|>final<|message|>Sunny.<|return|>"
)


def test_harmony_text_is_read_with_reasoning_calls_and_results(tmp_path: Path) -> None:
    result = read_rows(tmp_path, [{"text": HARMONY}])
    (example,) = result.examples
    assert [(m.role, m.content) for m in example.messages] == [
        ("system", "S.\n\nD."), ("user", "Weather?"), ("assistant", ""), ("tool", "sun"), ("assistant", "Sunny."),
    ]  # fmt: skip
    call = example.messages[2]
    assert call.thinking == "Look it up."
    assert call.tool_calls[0]["function"] == {"name": "find", "arguments": {"at": 1}}
    assert read_harmony_text(HARMONY.replace("user<", "nobody<")) == ()


def test_reasoning_on_a_channel_is_no_answer(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "channel": "analysis", "content": [{"type": "text", "text": "greet"}]},
        {"role": "assistant", "channel": "final", "content": "Hello."},
    ]  # fmt: skip
    result = read_rows(tmp_path, [{"messages": turns}])
    assert list_turns(result) == TALK[:2]
    assert result.examples[0].messages[1].thinking == "greet" and result.files[0].unused == ()


@pytest.mark.parametrize(
    ("prompt", "completion", "thinking"),
    [
        ("<|im_start|>user\nHi.<|im_end|>\n<|im_start|>assistant\n", "Hello.<|im_end|>", ""),
        ("\n\nHuman: Hi.\n\nAssistant:", " Hello.</s>", ""),
        ("[INST] Hi. [/INST]", " Hello.</s>", ""),
        (
            "<|start|>user<|message|>Hi.<|end|><|start|>assistant",
            "<|channel|>analysis<|message|>greet<|end|><|start|>assistant<|channel|>final<|message|>Hello.<|return|>",
            "greet",
        ),
    ],
)
def test_a_completion_in_the_marks_of_its_prompt(
    tmp_path: Path, prompt: str, completion: str, thinking: str
) -> None:
    result = read_rows(tmp_path, [{"prompt": prompt, "completion": completion}])
    assert list_turns(result) == TALK[:2]
    assert result.examples[0].messages[1].thinking == thinking


FULL = {
    "data": {"prompt": "Q", "answer1": "one", "answer2": "two"},
    "annotations": [{"was_cancelled": True, "result": []}, {"result": [
        {"from_name": "c", "to_name": "answer1,answer2", "type": "pairwise", "value": {"selected": "right"}}]}],
}  # fmt: skip
SHORT = {"annotator": 1, "annotation_id": 2, "id": 3, "prompt": "Q", "answer1": "one", "answer2": "two"}  # fmt: skip


@pytest.mark.parametrize(
    "row",
    [FULL, {**SHORT, "c": "right"}, {**SHORT, "c": {"selected": "right"}}, {**SHORT, "origin": "x", "c": '{"selected": "right"}'}],
)  # fmt: skip
def test_label_studios_comparisons_are_pairs(tmp_path: Path, row: dict[str, Any]) -> None:
    (example,) = read_rows(tmp_path, [row]).examples
    assert [m.content for m in example.messages] == ["Q", "two"]
    assert example.rejected == "one"


@pytest.mark.parametrize(
    "text",
    [
        "Report 2024,,\nmade,today,\n\nid,question,answer\n1,q,a\n",
        "All our questions\nquestion;answer\nq;a\n",
        "FAQ, of our shop\nPrompt,Completion\nq,a\n",
        "# by a tool\r\n\"question\"\t\"answer\"\r\nq\ta\r\n",
    ],
)  # fmt: skip
def test_title_lines_above_a_tables_header(tmp_path: Path, text: str) -> None:
    result = read_text(tmp_path, "faq.csv", text)
    assert [[m.content for m in e.messages] for e in result.examples] == [["q", "a"]]


def test_rows_that_hold_names_of_columns_are_no_header(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("frage,antwort\nWas ist text?,input\ntext,label\nwer,der\n")
    config = DataConfig(columns={"question": "frage", "response": "antwort"})
    assert len(read_sources(["a.csv"], config, "train", tmp_path).examples) == 3


def test_a_sheet_by_any_name_says_how_it_becomes_a_table(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "faq.csv", "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(DataError, match="an Excel sheet") as caught:
        read_sources(["faq.csv"], DataConfig(), "train", tmp_path)
    assert "CSV UTF-8" in caught.value.next_step
