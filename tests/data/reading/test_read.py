"""Sources and layouts: every format gives the same examples, every bad row a place and a reason."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import zstandard

from residency.config.data import DataConfig
from residency.data.reading.row_reader import write_rejects
from residency.data.reading.source_reader import ReadResult, read_sources
from residency.errors import DataError
from residency.nouns.example import Example, Message

ROWS = [
    {"instruction": f"Say {n}, please.", "input": "Grüße 🙂" if n % 2 else "", "response": f"{n}."}
    for n in range(5)
]


def one(folder: Path, name: str, **data: Any) -> ReadResult:
    return read_sources([name], DataConfig.model_validate(data), "train", folder)


def save(folder: Path, name: str, rows: list[Any]) -> str:
    (folder / name).write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return name


def messages(result: ReadResult) -> list[tuple[Message, ...]]:
    return [e.messages for e in result.examples]


def write_as(folder: Path, kind: str) -> str:
    lines = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in ROWS).encode()
    path = folder / f"rows.{kind}"
    if kind in ("jsonl", "data"):
        path.write_bytes(lines)
    elif kind == "jsonl.gz":
        path.write_bytes(gzip.compress(lines))
    elif kind == "jsonl.zst":
        path.write_bytes(zstandard.ZstdCompressor().compress(lines))
    elif kind == "json":
        path.write_text(json.dumps(ROWS, indent=2), encoding="utf-8")
    elif kind == "wrapped.json":
        path.write_text(json.dumps({"version": 1, "data": ROWS}), encoding="utf-8")
    elif kind == "bom.jsonl":
        path.write_bytes(b"\xef\xbb\xbf" + lines)
    elif kind == "utf16.jsonl":
        path.write_bytes(lines.decode().encode("utf-16"))
    elif kind in ("csv", "tsv", "semicolon.csv"):
        out = io.StringIO()
        mark = {"csv": ",", "tsv": "\t", "semicolon.csv": ";"}[kind]
        writer = csv.DictWriter(out, ROWS[0].keys(), delimiter=mark)
        writer.writeheader()
        writer.writerows(ROWS)
        path.write_text(out.getvalue(), encoding="utf-8")
    elif kind == "parquet":
        pl.DataFrame(ROWS).write_parquet(path)
    elif kind == "arrow":
        with (
            pa.OSFile(str(path), "wb") as sink,
            pa.ipc.new_file(sink, (table := pa.Table.from_pylist(ROWS)).schema) as writer,
        ):
            writer.write_table(table)
    elif kind == "stream.arrow":
        with (
            pa.OSFile(str(path), "wb") as sink,
            pa.ipc.new_stream(sink, (table := pa.Table.from_pylist(ROWS)).schema) as writer,
        ):
            writer.write_table(table)
    return path.name


KINDS = [
    "jsonl",
    "jsonl.gz",
    "jsonl.zst",
    "json",
    "wrapped.json",
    "bom.jsonl",
    "utf16.jsonl",
    "csv",
    "tsv",
    "semicolon.csv",
    "parquet",
    "arrow",
    "stream.arrow",
    "data",
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same_examples(tmp_path: Path, kind: str) -> None:
    result = one(tmp_path, write_as(tmp_path, kind))
    assert not result.rejects
    assert messages(result) == [
        (Message("user", r["instruction"], input=r["input"]), Message("assistant", r["response"]))
        for r in ROWS
    ]
    assert result.format == "alpaca"
    assert result.mapping == "alpaca (instruction, input, response)"
    assert result.files[0].hash.startswith("sha256:")


def test_a_database_query_is_a_source(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "faq.db") as connection:
        connection.execute("create table faq (q text, a text)")
        connection.executemany("insert into faq values (?, ?)", [("Why?", "So."), ("How?", "")])
    spec = "sqlite:///faq.db?query=select q as question, a as answer from faq"
    result = one(tmp_path, spec)
    assert messages(result) == [(Message("user", "Why?"), Message("assistant", "So."))]
    assert str(result.rejects[0]).startswith('faq.db:2 field "answer": no answer')
    with pytest.raises(DataError, match=r"query failed: attempt to write a readonly database"):
        one(tmp_path, "sqlite:///faq.db?query=delete from faq")
    with pytest.raises(DataError, match="a query is needed"):
        one(tmp_path, "sqlite:///faq.db")


def test_a_hub_path_is_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, "train.jsonl", ROWS)
    asked: list[tuple[Any, ...]] = []

    def download(repo: str, file: str, *, repo_type: str, revision: str | None) -> str:
        asked.append((repo, file, repo_type, revision))
        return str(tmp_path / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    result = one(tmp_path, "hf://datasets/someone/tickets@v2/train.jsonl")
    assert asked == [("someone/tickets", "train.jsonl", "dataset", "v2")]
    assert len(result.examples) == 5
    with pytest.raises(DataError, match="a file in a dataset is expected"):
        one(tmp_path, "hf://datasets/someone")


def test_folders_and_globs(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for name in ("b", "a"):
        (tmp_path / "texts" / f"{name}.txt").write_text(f"Text {name}.")
    (tmp_path / "texts" / "photo.jpg").write_bytes(b"\xff\xd8")
    result = one(tmp_path, "texts")
    assert messages(result) == [
        (Message("assistant", "Text a."),),
        (Message("assistant", "Text b."),),
    ]
    save(tmp_path, "p1.jsonl", ROWS[:2])
    save(tmp_path, "p2.jsonl", ROWS[2:])
    assert [e.source for e in one(tmp_path, "p*.jsonl").examples] == [
        "p1.jsonl:1",
        "p1.jsonl:2",
        "p2.jsonl:1",
        "p2.jsonl:2",
        "p2.jsonl:3",
    ]


def test_long_text_is_divided_at_paragraphs_and_nothing_is_lost(tmp_path: Path) -> None:
    text = "\n\n".join(f"Paragraph {n}. " + "word " * 120 for n in range(20))
    (tmp_path / "book.txt").write_text(text + "\n<|endoftext|>\nAnother book.")
    result = one(tmp_path, "book.txt")
    assert len(result.examples) > 5
    joined = " ".join(m[0].content for m in messages(result))
    assert joined.split() == [*text.split(), "Another", "book."]
    assert all(m[0].content.startswith(("Paragraph", "Another")) for m in messages(result))


CALL = {"name": "find", "arguments": {"q": "x"}}
TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}
LAYOUTS: dict[str, tuple[dict[str, Any], Example]] = {
    "alpaca output": (
        {"instruction": "I", "input": "X", "output": "A", "system": "S"},
        Example((Message("system", "S"), Message("user", "I", input="X"), Message("assistant", "A"))),
    ),
    "alpaca history": (
        {"instruction": "I", "input": "", "output": "A", "history": [["q", "a"]]},
        Example(
            (
                Message("user", "q"),
                Message("assistant", "a"),
                Message("user", "I"),
                Message("assistant", "A"),
            )
        ),
    ),
    "prompt": (
        {"prompt": "P", "completion": "A"},
        Example((Message("user", "P"), Message("assistant", "A"))),
    ),
    "question": (
        {"question": "Q", "answer": "A", "id": 3},
        Example((Message("user", "Q"), Message("assistant", "A"))),
    ),
    "messages": (
        {
            "messages": [
                {"role": "user", "content": "U"},
                {"role": "assistant", "content": None, "tool_calls": [{"function": CALL}]},
                {"role": "tool", "content": "T"},
                {"role": "assistant", "content": "A", "reasoning_content": "R"},
            ]
        },
        Example(
            (
                Message("user", "U"),
                Message("assistant", "", tool_calls=({"function": CALL},)),
                Message("tool", "T"),
                Message("assistant", "A", thinking="R"),
            )
        ),
    ),
    "content parts": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "U"}]}, {"role": "assistant", "content": "A"}]},
        Example((Message("user", "U"), Message("assistant", "A"))),
    ),
    "reasoning parts": (
        {
            "messages": [
                {"role": "user", "content": "U"},
                {
                    "role": "assistant",
                    "content": [{"type": "reasoning", "value": "R"}, {"type": "text", "value": "A"}],
                },
            ]
        },
        Example((Message("user", "U"), Message("assistant", "A", thinking="R"))),
    ),
    "self-instruct": (
        {"instruction": "I", "instances": [{"input": "X", "output": "A"}]},
        Example((Message("user", "I", input="X"), Message("assistant", "A"))),
    ),
    "sharegpt": (
        {
            "conversations": [
                {"from": "human", "value": "U"},
                {"from": "function_call", "value": json.dumps(CALL)},
                {"from": "observation", "value": "T"},
                {"from": "gpt", "value": "A"},
            ]
        },
        Example(
            (
                Message("user", "U"),
                Message("assistant", "", tool_calls=({"type": "function", "function": CALL},)),
                Message("tool", "T"),
                Message("assistant", "A"),
            )
        ),
    ),
    "messages with tools": (
        {"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}, {"role": "assistant", "content": "A"}], "tools": [TOOL]},
        Example((Message("system", "S", tools=(TOOL,)), Message("user", "U"), Message("assistant", "A"))),
    ),
    "sharegpt with tools": (
        {"conversations": [{"from": "human", "value": "U"}, {"from": "gpt", "value": "A"}], "tools": json.dumps([TOOL["function"]])},
        Example((Message("system", "", tools=(TOOL,)), Message("user", "U"), Message("assistant", "A"))),
    ),
    "text": ({"text": "Once upon a time"}, Example((Message("assistant", "Once upon a time"),))),
    "preference": (
        {"prompt": "P", "chosen": "good", "rejected": "bad"},
        Example((Message("user", "P"), Message("assistant", "good")), rejected="bad"),
    ),
    "preference conversations": (
        {
            "conversations": [{"from": "human", "value": "P"}],
            "chosen": {"from": "gpt", "value": "good"},
            "rejected": {"from": "gpt", "value": "bad"},
        },
        Example((Message("user", "P"), Message("assistant", "good")), rejected="bad"),
    ),
    "preference whole": (
        {
            "chosen": [{"role": "user", "content": "P"}, {"role": "assistant", "content": "good"}],
            "rejected": [{"role": "user", "content": "P"}, {"role": "assistant", "content": "bad"}],
        },
        Example((Message("user", "P"), Message("assistant", "good")), rejected="bad"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_found_by_its_fields(tmp_path: Path, layout: str) -> None:
    row, expected = LAYOUTS[layout]
    result = one(tmp_path, save(tmp_path, "rows.jsonl", [row]))
    assert [e.id for e in result.examples] == [expected.id], result.rejects


def test_the_users_own_columns(tmp_path: Path) -> None:
    (tmp_path / "anfragen.csv").write_text(
        "frage,antwort,sparte,kunde\nWo?,Hier.,Technik,17\nWann?,Jetzt.,,18\n", encoding="utf-8"
    )
    columns = {"instruction": "frage", "response": "antwort", "group": "kunde"}
    result = one(tmp_path, "anfragen.csv", columns=columns, tags=["sparte"])
    assert [(e.prompt_text, e.reference, e.tags, e.group) for e in result.examples] == [
        ("Wo?", "Hier.", ("sparte=Technik",), "17"),
        ("Wann?", "Jetzt.", (), "18"),
    ]
    with pytest.raises(
        DataError, match=r"no column 'fragen'.*the file has antwort, frage"
    ) as caught:
        one(tmp_path, "anfragen.csv", columns={"instruction": "fragen"})
    assert "residency.toml" in caught.value.next_step
    with pytest.raises(DataError, match="unknown field 'reply'"):
        one(tmp_path, "anfragen.csv", columns={"reply": "antwort"})
    with pytest.raises(DataError, match="do not make any known layout"):
        one(tmp_path, "anfragen.csv")


def test_an_instruction_for_rows_without_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nIt broke.,complaint\n")
    columns = {"text": "text", "response": "label"}
    result = one(tmp_path, "a.csv", columns=columns, instruction="Which kind?", format="text")
    assert messages(result) == [
        (Message("user", "Which kind?", input="It broke."), Message("assistant", "complaint"))
    ]


BAD: list[tuple[str, str, str]] = [
    ('{"instruction": "a", "response": "b"', "not valid JSON", ""),
    ('["a"]', "a JSON object is expected, found list", ""),
    ('{"instruction": "a", "instruction": "b", "response": "c"}', "stands twice", "instruction"),
    ('{"instruction": "a", "response": ""}', "no answer to train on", "response"),
    ('{"instruction": "", "response": "b"}', "both empty", "instruction"),
    ('{"instruction": {"a": 1}, "response": "b"}', "text is expected, found an object", "instruction"),
    ('{"instruction": "a\\u0000b", "response": "b"}', "NUL character at position 1", "instruction"),
    ('{"instruction": "\\ud83d", "response": "b"}', "half of a surrogate pair", "instruction"),
    ('{"instruction": "a", "response": "b", "images": ["x.png"]}', "more than text", "images"),
    ('{"instruction": "a", "response": "b", "weight": -1}', "weight above 0", "weight"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "reason", "field"), BAD)
def test_pain_18_a_bad_row_has_file_line_field_and_reason(
    tmp_path: Path, line: str, reason: str, field: str
) -> None:
    good = json.dumps({"instruction": "a", "response": "b", "weight": 1})
    (tmp_path / "rows.jsonl").write_text(f"{good}\n\n{line}\n{good}\n")
    result = one(tmp_path, "rows.jsonl")
    assert len(result.examples) == 2
    [reject] = result.rejects
    assert (reject.file, reject.line, reject.field) == ("rows.jsonl", 3, field)
    assert reason in reject.reason
    with pytest.raises(DataError, match=reason.replace("(", r"\(")) as caught:
        read_sources(["rows.jsonl"], DataConfig(), "train", tmp_path, strict=True)
    assert caught.value.where.startswith("rows.jsonl:3")
    write_rejects(result.rejects, tmp_path / "out" / "rejects.jsonl")
    [written] = [
        json.loads(x) for x in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()
    ]
    assert written["line"] == 3


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    good = json.dumps({"instruction": "a", "response": "b"}).encode()
    (tmp_path / "rows.jsonl").write_bytes(good + b'\n{"instruction": "\xe9", "response": "b"}\n')
    [reject] = one(tmp_path, "rows.jsonl").rejects
    assert reject.reason.startswith("not UTF-8: byte 0xe9")
    (tmp_path / "rows.csv").write_bytes(b"question,answer\nWhy?,So.\nCaf\xe9?,Yes.\n")
    [reject] = one(tmp_path, "rows.csv").rejects
    assert (reject.line, reject.field) == (3, "question")
    (tmp_path / "rows.json").write_bytes(b'[{"instruction": "\xe9", "response": "b"}]')
    with pytest.raises(DataError, match="0xe9") as caught:
        one(tmp_path, "rows.json")
    assert "iconv" in caught.value.next_step


def test_a_json_array_is_streamed_with_line_numbers(tmp_path: Path) -> None:
    rows = [{"instruction": "x" * n, "response": "y\n" * n} for n in (1, 70_000, 3, 200_000, 5)]
    text = "[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n"
    (tmp_path / "rows.json").write_text(text)
    result = one(tmp_path, "rows.json")
    assert [e.source for e in result.examples] == [f"rows.json:{n}" for n in range(2, 7)]
    assert [len(m[0].content) for m in messages(result)] == [1, 70_000, 3, 200_000, 5]
    (tmp_path / "cut.json").write_text(text[: len(text) // 2])
    result = one(tmp_path, "cut.json")
    assert len(result.examples) == 3
    assert "nothing after it was read" in result.rejects[0].reason


def test_ragged_tables_and_repeated_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('question,answer\n"a\nb",c\nd\ne,f\n')
    result = one(tmp_path, "a.csv")
    assert [e.source for e in result.examples] == ["a.csv:2", "a.csv:5"]
    assert str(result.rejects[0]) == "a.csv:4: 1 fields where the header has 2"
    (tmp_path / "b.csv").write_text("question,answer,answer\na,b,c\n")
    with pytest.raises(DataError, match="column 'answer' stands twice"):
        one(tmp_path, "b.csv")


def test_files_that_are_no_data(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(DataError, match="the file is empty"):
        one(tmp_path, "empty.jsonl")
    (tmp_path / "blank.jsonl").write_text("\n \n")
    with pytest.raises(DataError, match="the file is empty"):
        one(tmp_path, "blank.jsonl")
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04rest")
    with pytest.raises(DataError, match="zip"):
        one(tmp_path, "a.zip")
    (tmp_path / "bad.gz").write_bytes(b"\x1f\x8b\x08broken")
    with pytest.raises(DataError, match="decompressed"):
        one(tmp_path, "bad.gz")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(DataError, match="not a readable parquet"):
        one(tmp_path, "bad.parquet")


def test_a_very_long_line_is_read(tmp_path: Path) -> None:
    rows = [
        {"instruction": "a", "response": "word " * 2_000_000},
        {"instruction": "b", "response": "c"},
    ]
    result = one(tmp_path, save(tmp_path, "long.jsonl", rows))
    assert len(result.examples) == 2


def test_bad_answers_and_pictures_are_not_trained_on(tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    picture = [{"role": "user", "content": [{"type": "image_url", "value": "x"}]}, talk[1]]
    rows = [
        {"messages": talk, "label": True},
        {"messages": talk, "label": False},
        {"messages": picture},
        {"messages": [{"role": "narrator", "content": "x"}]},
        {"messages": talk[:1]},
        {"messages": []},
    ]
    result = one(tmp_path, save(tmp_path, "rows.jsonl", rows))
    assert len(result.examples) == 1
    assert [r.reason for r in result.rejects] == [
        "the row is labelled as a bad answer",
        "a part of type 'image_url': the row needs more than text",
        "unknown role 'narrator'; write system, user, assistant or tool",
        "no answer to train on (empty or missing)",
        "a list of messages is expected",
    ]


def test_dev_rows_need_no_answer(tmp_path: Path) -> None:
    save(tmp_path, "rows.jsonl", [{"prompt": "a"}])
    assert len(read_sources(["rows.jsonl"], DataConfig(), "dev", tmp_path).examples) == 1
    assert len(read_sources(["rows.jsonl"], DataConfig(), "train", tmp_path).rejects) == 1


def test_rows_of_an_array_on_one_line_are_told_apart(tmp_path: Path) -> None:
    rows = [{"instruction": f"{n}", "response": "" if n == 3 else "y"} for n in range(5)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    result = one(tmp_path, "rows.json")
    assert [e.source for e in result.examples] == [f"rows.json:{n}" for n in (1, 2, 3, 5)]
    assert result.rejects[0].line == 4


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
def test_objects_one_after_the_other_are_rows(
    tmp_path: Path, name: str, indent: int | None
) -> None:
    parts = [json.dumps({"instruction": f"{n}", "response": "y"}, indent=indent) for n in range(4)]
    (tmp_path / name).write_text("\n".join(parts))
    result = one(tmp_path, name)
    assert [m[0].content for m in messages(result)] == ["0", "1", "2", "3"]
    assert [e.source for e in result.examples] == [
        f"{name}:{1 + n * (4 if indent else 1)}" for n in range(4)
    ]


@pytest.mark.parametrize("ending", ["gz", "zst"])
@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_compressed_file_that_is_cut_off_is_no_whole_file(
    tmp_path: Path, ending: str, kept: float
) -> None:
    import gzip
    import random

    import zstandard

    rng = random.Random(0)
    text = "".join(
        json.dumps({"instruction": f"{rng.random()}", "response": "y"}) + "\n" for _ in range(5000)
    )
    packed = (gzip.compress if ending == "gz" else zstandard.compress)(text.encode())
    whole, cut = tmp_path / f"rows.jsonl.{ending}", tmp_path / f"cut.jsonl.{ending}"
    whole.write_bytes(packed + packed)  # two frames one after the other are one file
    assert len(one(tmp_path, whole.name).examples) == 10_000
    cut.write_bytes(packed[: int(kept * len(packed))])
    with pytest.raises(DataError, match="decompressed to its end") as caught:
        one(tmp_path, cut.name)
    assert cut.name in str(caught.value)


NO_TEXT: dict[str, tuple[bytes, str]] = {
    "utf16le.jsonl": ('{"instruction": "a", "response": "b"}\n'.encode("utf-16-le"), "UTF-16LE"),
    "utf16be.csv": ("instruction,response\na,b\n".encode("utf-16-be"), "UTF-16BE"),
    "image.dat": (bytes(range(256)) * 10, "neither text"),
}


@pytest.mark.parametrize("name", NO_TEXT)
def test_what_is_no_text_is_not_read_as_text(tmp_path: Path, name: str) -> None:
    content, message = NO_TEXT[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        one(tmp_path, name)
    assert name in str(caught.value) and caught.value.next_step


def test_nesting_without_end_and_missing_numbers_are_refused_by_row(tmp_path: Path) -> None:
    good = json.dumps({"instruction": "a", "response": "b"})
    deep = '{"instruction": ' + "[" * 100_000 + "]" * 100_000 + "}"
    lines = [good, deep, '{"instruction": "a", "response": NaN}', '{"messages": []}']
    (tmp_path / "rows.jsonl").write_text("\n".join(lines) + "\n")
    result = one(tmp_path, "rows.jsonl")
    assert len(result.examples) == 1
    assert [(r.line, r.field) for r in result.rejects] == [
        (2, ""),
        (3, "response"),
        (4, "instruction"),
    ]
    assert "nested too deeply" in result.rejects[0].reason
    assert "no answer" in result.rejects[1].reason
    assert "only messages" in result.rejects[2].reason
    (tmp_path / "deep.jsonl").write_text(deep + "\n" + good + "\n")
    assert len(one(tmp_path, "deep.jsonl").examples) == 1


def test_a_text_may_begin_with_a_bracket(tmp_path: Path) -> None:
    for name, text in {
        "README.md": "[English](a.md) | [中文](b.md)",
        "notes": "[sic] he said.",
    }.items():
        (tmp_path / name).write_text(text)
        assert messages(one(tmp_path, name)) == [(Message("assistant", text),)]
    (tmp_path / "rows").write_text('[ {"instruction": "a", "response": "b"} ]')
    assert one(tmp_path, "rows").format == "alpaca"
