"""Definitions of tools: from the row to the prompt, and never lost on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chat_families import tokenizer_of
from residency.chat.chat_format import ChatFormat
from residency.config.data import DataConfig
from residency.config.settings import Config
from residency.data.checks.data_doctor import check_data
from residency.data.cleaning.cleaned_copy import write_cleaned_copy
from residency.data.reading.source_reader import read_sources
from residency.nouns.example import Example


def tool(name: str, *fields: str) -> dict[str, Any]:
    properties = {field: {"type": "string"} for field in fields}
    return {"name": name, "parameters": {"type": "object", "properties": properties}}


ROWS: list[dict[str, Any]] = [
    {
        "messages": [
            {"role": "user", "content": f"Where is order {n}?"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"type": "function", "function": call}],
            },
            {"role": "tool", "content": "In Köln."},
            {"role": "assistant", "content": f"Order {n} is in Köln."},
        ],
        "tools": [tool("find", "order"), tool("send", "to", "text")],
    }
    for n, call in enumerate(
        [
            {"name": "find", "arguments": {"order": "17"}},
            {"name": "send", "arguments": {"to": "a", "text": "b"}},
        ]
        * 3
    )
]


def save(folder: Path, rows: list[dict[str, Any]], name: str = "rows.jsonl") -> Config:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Config(data=DataConfig(train=[name]))


def rows_of(folder: Path, name: str) -> list[Example]:
    result = read_sources([name], DataConfig(), "train", folder)
    assert result.rejects == []
    return result.examples


def test_parquet_adds_no_fields_of_other_tools(tmp_path: Path) -> None:
    """Parquet gives every struct the fields of all: what was not there must not come back."""
    import polars as pl

    save(tmp_path, ROWS)
    pl.DataFrame(ROWS).write_parquet(tmp_path / "rows.parquet")
    plain = rows_of(tmp_path, "rows.jsonl")
    assert [e.messages for e in rows_of(tmp_path, "rows.parquet")] == [e.messages for e in plain]
    named = [t["function"]["name"] for t in plain[0].messages[0].tools]
    assert named == ["find", "send"]


def test_the_prompt_holds_them_and_they_are_never_trained(tmp_path: Path) -> None:
    save(tmp_path, ROWS)
    chat = ChatFormat(tokenizer_of("qwen2_5"))
    for row in rows_of(tmp_path, "rows.jsonl"):
        encoded = chat.encode(row.messages)
        text = chat.pieces(encoded.ids, encoded.mask)
        assert '"name": "send"' in text[0][0] and not text[0][1]
        trained = "".join(piece for piece, is_trained in text if is_trained)
        assert "parameters" not in trained and "in Köln." in trained
        assert chat.prompt_ids(row.prompt) == encoded.ids[: len(chat.prompt_ids(row.prompt))]


def test_the_same_question_with_other_tools_is_another_question(tmp_path: Path) -> None:
    def row(answer: str, name: str) -> dict[str, Any]:
        turns = [{"role": "user", "content": "Book it."}, {"role": "assistant", "content": answer}]
        return {"messages": turns, "tools": [tool(name, "day")]}

    config = save(tmp_path, [row("I cannot do this.", "sing"), row("It is booked.", "book")])
    assert check_data(config, tmp_path, missing=())[0].contradicted == 0
    config = save(tmp_path, [row("I cannot do this.", "book"), row("It is booked.", "book")])
    assert check_data(config, tmp_path, missing=())[0].contradicted == 1


def test_a_template_without_them_is_told_of(tmp_path: Path) -> None:
    config = save(tmp_path, ROWS)
    said = {}
    for family in ("qwen2_5", "chatml"):
        chat = ChatFormat(tokenizer_of(family))
        said[family] = " ".join(check_data(config, tmp_path, missing=(), chat=chat)[0].notes)
    assert "6 rows define tools" in said["chatml"]
    assert "define tools" not in said["qwen2_5"]


def test_they_survive_fix(tmp_path: Path) -> None:
    config = save(tmp_path, ROWS)
    _, survey = check_data(config, tmp_path, missing=())
    fixed = write_cleaned_copy(survey, tmp_path / "clean")
    kept = rows_of(fixed.folder, "train.jsonl")
    assert {e.id for e in kept} <= {e.id for e in rows_of(tmp_path, "rows.jsonl")}
    assert all(e.messages[0].tools for e in kept)


@pytest.mark.parametrize("bad", ["[{", [{"description": "no name"}], ["find"]])
def test_definitions_that_cannot_be_read_are_refused(tmp_path: Path, bad: Any) -> None:
    save(tmp_path, [{**ROWS[0], "tools": bad}, ROWS[1]])
    [reject] = read_sources(["rows.jsonl"], DataConfig(), "train", tmp_path).rejects
    assert (reject.line, reject.field) == (1, "tools")


def test_an_endpoint_is_sent_them_apart_from_the_messages(tmp_path: Path) -> None:
    from residency.http.chat_completions import build_request
    from residency.interfaces import Prompt
    from residency.nouns.response import Sampling

    save(tmp_path, ROWS)
    row = rows_of(tmp_path, "rows.jsonl")[0]
    body = build_request("m", Prompt(row.prompt, "k"), Sampling())
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "tool"]
    assert [t["function"]["name"] for t in body["tools"]] == ["find", "send"]


def test_an_answer_of_nothing_but_calls_is_read_as_calls(tmp_path: Path) -> None:
    tools = json.dumps([tool("find", "order")])
    calls = json.dumps([{"name": "find", "arguments": {"order": "17"}}])
    rows = [{"query": "q", "tools": tools, "answers": calls}, {"query": "q", "answers": calls}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    called, written = read_sources(["rows.jsonl"], DataConfig(), "train", tmp_path).examples
    last = called.messages[-1]
    assert last.content == "" and last.tool_calls[0]["function"]["name"] == "find"
    assert written.messages[-1].content == calls  # without tools it is text to be written
