"""Files as people and programs leave them: values come out right, or what to do next is said."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from residency.config.data import DataConfig
from residency.data.reading.named_splits import name_folder_splits
from residency.data.reading.source_reader import ReadResult, read_sources
from residency.data.reading.sources import find_sources
from residency.errors import DataError
from residency.files.json_comments import remove_comments
from residency.files.records import find_kind, read_records

ROWS = [{"prompt": f"q{n} // no, /* really */", "completion": f"a{n}, ]"} for n in range(3)]


def read_text(root: Path, name: str, text: str, **settings: Any) -> ReadResult:
    (root / name).write_text(text)
    return read_sources([name], DataConfig(**settings), "train", root)


def list_turns(result: ReadResult) -> list[list[str]]:
    return [[m.content for m in example.messages] for example in result.examples]


EXPECTED = [[row["prompt"], row["completion"]] for row in ROWS]


@pytest.mark.parametrize(
    "text",
    [
        "/* all\nrows */ [\n" + ",\n".join(f"// one\n{json.dumps(r)}" for r in ROWS) + ", ]",
        "[" + ",".join(json.dumps(r)[:-1] + ", /* end */ }" for r in ROWS) + "]",
        '{"rows": [' + ",".join(json.dumps(r) for r in ROWS) + ",], // end\n}",
    ],
)
def test_comments_and_needless_commas_in_json_change_no_value(tmp_path: Path, text: str) -> None:
    result = read_text(tmp_path, "rows.json", text)
    assert list_turns(result) == EXPECTED
    assert not result.rejects


def test_lines_of_json_may_end_with_commas_and_comments(tmp_path: Path) -> None:
    lines = ["# rows", "// of mine", *(f"{json.dumps(row)}, // one" for row in ROWS)]
    result = read_text(tmp_path, "rows.jsonl", "\n".join(lines))
    assert list_turns(result) == EXPECTED
    assert [e.source for e in result.examples] == [f"rows.jsonl:{n}" for n in (3, 4, 5)]


@settings(max_examples=40)
@given(st.recursive(st.text('ab"\\/*,]}\n'), lambda inner: st.lists(inner) | st.dictionaries(st.text("a/*"), inner)))  # fmt: skip
def test_what_is_json_already_stays_the_same_value(value: Any) -> None:
    assert json.loads(remove_comments(json.dumps(value, indent=1))) == value


def test_comments_of_any_length_take_linear_time() -> None:
    for text in ("/*" * 100_000, '"\\"' * 100_000, ", " * 100_000, '"' + '\\"' * 100_000):
        remove_comments(text)


def test_an_error_after_a_comment_names_its_line(tmp_path: Path) -> None:
    result = read_text(
        tmp_path, "rows.json", '[\n// x\n{"prompt": "q", "completion": "a"},\n{"prompt": oh}]'
    )
    assert (len(result.examples), result.rejects[0].line) == (1, 4)


def test_objects_of_python_are_refused_with_a_command_that_writes_rows(tmp_path: Path) -> None:
    lines = "".join(f"{ {**row, 'source': 'x' * 80} }\n" for row in ROWS)
    result = read_text(tmp_path, "my rows.jsonl", lines)
    command = result.rejects[0].reason.partition("JSON: python")[2]
    subprocess.run(f"{sys.executable}{command}", shell=True, cwd=tmp_path, check=True)
    assert list_turns(read_sources(["rows.jsonl"], DataConfig(), "train", tmp_path)) == EXPECTED


def test_the_line_for_excel_names_the_separator_and_is_no_header(tmp_path: Path) -> None:
    result = read_text(tmp_path, "a.csv", '"sep=;"\r\nprompt;completion\r\nq, really;a\r\nbad\r\n')
    assert list_turns(result) == [["q, really", "a"]]
    assert (result.examples[0].source, result.rejects[0].line) == ("a.csv:3", 4)


def test_nameless_columns_and_empty_rows_of_tables_are_passed_over(tmp_path: Path) -> None:
    result = read_text(tmp_path, "a.csv", ",prompt,completion,,\n1,q,a,,\n,,,,\n2,p,b,,,\n")
    assert list_turns(result) == [["q", "a"], ["p", "b"]]
    assert result.files[0].unused == ("column_1", "column_4", "column_5")


def test_a_name_that_stands_twice_has_a_header_as_next_step(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="twice") as caught:
        read_text(tmp_path, "a.csv", "prompt;completion;completion\nq;a;b\n")
    assert "prompt;completion;completion_2" in caught.value.next_step
    result = read_text(tmp_path, "b.csv", "prompt;completion;completion_2\nq;a;b\n")
    assert list_turns(result) == [["q", "a"]]


def test_a_table_without_header_gets_one_by_the_command(tmp_path: Path) -> None:
    text = "What is the price of it?,It costs three francs today\nWhen does it open?,At ten\n"
    with pytest.raises(DataError, match="first line seems to be a row") as caught:
        read_text(tmp_path, "faq.csv", text)
    command = caught.value.next_step.partition(": ")[2]
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    result = read_sources(["named.csv"], DataConfig(), "train", tmp_path)
    assert len(list_turns(result)) == 2


def test_documents_of_one_yaml_file_are_rows(tmp_path: Path) -> None:
    result = read_text(
        tmp_path,
        "a.yaml",
        "---\nprompt: q\ncompletion: a\n---\n- prompt: p\n  completion: b\n...\n",
    )
    assert list_turns(result) == [["q", "a"], ["p", "b"]]
    assert [e.source for e in result.examples] == ["a.yaml:2", "a.yaml:5"]


@pytest.mark.parametrize(
    ("name", "value", "file"),
    [
        ("columns.json", {"prompt": ["q", "p"], "completion": ["a", "b"]}, "rows.jsonl"),
        (
            "frame.json",
            {"prompt": {"0": "q", "1": "p"}, "completion": {"0": "a", "1": "b"}},
            "rows.jsonl",
        ),
        (
            "keyed.json",
            {"x": {"prompt": "q", "completion": "a"}, "y": {"prompt": "p", "completion": "b"}},
            "rows.jsonl",
        ),
        (
            "splits.json",
            {
                "test": [{"prompt": "t", "completion": "t"}],
                "train": [{"prompt": "q", "completion": "a"}, {"prompt": "p", "completion": "b"}],
            },
            "train.jsonl",
        ),
    ],
)
def test_an_object_of_rows_is_refused_with_the_command_that_writes_them(
    tmp_path: Path, name: str, value: Any, file: str
) -> None:
    with pytest.raises(DataError) as caught:
        read_text(tmp_path, name, json.dumps(value))
    command = caught.value.next_step.removeprefix("python")
    subprocess.run(f"{sys.executable}{command}", shell=True, cwd=tmp_path, check=True)
    result = read_sources([file], DataConfig(), "train", tmp_path)
    assert list_turns(result) == [["q", "a"], ["p", "b"]]


def test_no_command_holds_a_name_that_a_shell_would_run(tmp_path: Path) -> None:
    value = {"$(touch x)": [{"prompt": "q"}], "b": [{"prompt": "p"}]}
    for name in ("a.json", "$(touch y).json"):
        with pytest.raises(DataError) as caught:
            read_text(tmp_path, name, json.dumps(value))
        assert "touch" not in caught.value.next_step


def test_a_database_is_refused_with_a_query_that_its_tables_answer(tmp_path: Path) -> None:
    path = tmp_path / "faq.db"
    connection = sqlite3.connect(path)
    connection.execute('CREATE TABLE "my faq" (id INTEGER, prompt TEXT, "the answer" TEXT)')
    connection.execute("INSERT INTO \"my faq\" VALUES (1, 'q', 'a')")
    connection.commit()
    connection.close()
    with pytest.raises(DataError, match=r"my faq \(prompt, the answer\)") as caught:
        list(read_records(path, find_kind(path)))
    spec = caught.value.next_step.partition("'")[2].rpartition("'")[0]
    columns = {"response": "the answer"}
    result = read_sources([spec], DataConfig(columns=columns), "train", tmp_path)
    assert list_turns(result) == [["q", "a"]]


def test_a_sheet_and_an_archive_say_how_they_become_rows(tmp_path: Path) -> None:
    for name, step in (("a b.xlsx", "--convert-to csv"), ("rows.zip", "unzip")):
        (tmp_path / name).write_bytes(b"PK\x03\x04rest")
        with pytest.raises(DataError, match="not read") as caught:
            find_kind(tmp_path / name)
        assert step in caught.value.next_step
    assert "b.xlsx'" in str(find_error(tmp_path / "a b.xlsx"))


def find_error(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        find_kind(path)
    return caught.value.next_step


def test_a_folder_of_hugging_face_holds_its_splits_and_nothing_else(tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        folder = tmp_path / split
        folder.mkdir()
        table = pa.table({"prompt": [split], "completion": ["a"]})
        for name in ("data-00000-of-00001.arrow", "cache-1234.arrow"):
            with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as out:  # fmt: skip
                out.write_table(table)
        (folder / "state.json").write_text('{"_split": "x"}')
        (folder / "dataset_info.json").write_text('{"features": {}}')
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "validation", "test"]}')
    (tmp_path / "README.md").write_text("# About these rows\n")
    files = name_folder_splits(tmp_path)
    assert {s: [f.split("/")[0] for f in names] for s, names in files.items()} == {
        "test": ["test"],
        "train": ["train"],
        "dev": ["validation"],
    }
    assert len(find_sources(["."], tmp_path)) == 3


def test_ratings_are_told_and_leave_out_rows_when_asked(tmp_path: Path) -> None:
    rows = [{"prompt": f"q{n}", "completion": "a", "rating": n} for n in range(1, 6)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    result = read_text(tmp_path, "a.jsonl", text)
    assert len(result.examples) == 5
    (note,) = result.files[0].ratings
    assert "from 1 to 5" in note
    assert "--least rating=4, or [data] least = {rating = 4}" in note
    result = read_text(tmp_path, "a.jsonl", text, least={"rating": 4})
    assert [turns[0] for turns in list_turns(result)] == ["q4", "q5"]
    assert {str(r.reason) for r in result.rejects} == {"rated below [data] least"}
    assert result.files[0].ratings == ()
    with pytest.raises(DataError, match="no column 'stars'"):
        read_text(tmp_path, "a.jsonl", text, least={"stars": 4})


def test_quotes_in_a_table_of_tabs_are_text_where_they_divide_nothing(tmp_path: Path) -> None:
    text = 'prompt\tcompletion\n"q1 said\ta1\nq2\ta2\n"q3" she said\t"a3\nq4\ta4\n'
    result = read_text(tmp_path, "a.tsv", text)
    assert list_turns(result) == [['"q1 said', "a1"], ["q2", "a2"], ['"q3" she said', '"a3'], ["q4", "a4"]]  # fmt: skip
    text = 'prompt\tcompletion\n"q ""1"""\ta1\nq2\t"a\n2"\nq3\ta3\n'
    assert list_turns(read_text(tmp_path, "b.tsv", text)) == [['q "1"', "a1"], ["q2", "a\n2"], ["q3", "a3"]]  # fmt: skip


def test_spaces_before_quotes_and_lines_lost_to_one(tmp_path: Path) -> None:
    text = '"prompt", "completion"\n"q, 1", "a, 1"\n'
    assert list_turns(read_text(tmp_path, "a.csv", text)) == [["q, 1", "a, 1"]]
    text = 'prompt,completion\n"q,a\np,b\n"r" s,c\nt,d\n'
    reason = read_text(tmp_path, "b.csv", text).rejects[0].reason
    assert "lines 2 to 4 were taken for one row" in reason


def test_backslashes_before_quotes_go_by_the_command(tmp_path: Path) -> None:
    result = read_text(tmp_path, "a.csv", 'prompt,completion\n"a \\"q\\"","b"\n')
    command = result.rejects[0].reason.partition("it: ")[2].partition(")")[0]
    command = command.replace("FILE", "a.csv").replace("NEW", "b.csv")
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    assert list_turns(read_sources(["b.csv"], DataConfig(), "train", tmp_path)) == [['a "q"', "b"]]


def test_a_table_is_one_in_a_text_file_too(tmp_path: Path) -> None:
    assert list_turns(read_text(tmp_path, "a.txt", "Question,Answer\nq,a\n")) == [["q", "a"]]
    prose = read_text(tmp_path, "b.txt", "Question, said he, answer me.\nNo.\n")
    assert prose.format == "text"


@pytest.mark.parametrize(
    ("row", "turns"),
    [
        ({"input": [{"role": "user", "content": "q"}], "ideal": "a"}, ["q", "a"]),
        ({"input": {"messages": [{"role": "user", "content": "q"}]}, "output": {"role": "assistant", "content": "a"}}, ["q", "a"]),
        ({"question": "q", "passage": "p", "answer": True}, ["q", "true"]),
        ({"id": 1, "text": "q", "label": ["a"]}, ["q", "a"]),
        ({"sentence": "q", "label": 1}, ["q", "1"]),
    ],
)  # fmt: skip
def test_shapes_of_other_tools(tmp_path: Path, row: dict[str, Any], turns: list[str]) -> None:
    result = read_text(tmp_path, "a.jsonl", f"{json.dumps(row)}\n" * 2)
    assert list_turns(result) == [turns] * 2
    inputs = {m.input for e in result.examples for m in e.messages if m.role == "user"}
    assert inputs == {"p" if "passage" in row else ""}


def test_answers_beside_messages_and_verdicts_beside_texts_are_named(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "q"}], "reference_answer": "a"}
    reason = read_text(tmp_path, "a.jsonl", json.dumps(row)).rejects[0].reason
    assert "--column prompt=messages --column response=reference_answer" in reason
    columns = {"prompt": "messages", "response": "reference_answer"}
    assert list_turns(read_text(tmp_path, "a.jsonl", json.dumps(row), columns=columns)) == [["q", "a"]]  # fmt: skip
    rows = [{"text": f"t{n}", "accept": ["POS"], "answer": ["accept", "reject"][n % 2]} for n in range(4)]  # fmt: skip
    text = "".join(json.dumps(row) + "\n" for row in rows)
    with pytest.raises(DataError, match="holds verdicts") as caught:
        read_text(tmp_path, "b.jsonl", text)
    assert "--column label=answer --column class=accept" in caught.value.next_step
    columns = {"label": "answer", "class": "accept"}
    assert list_turns(read_text(tmp_path, "b.jsonl", text, columns=columns)) == [["t0", "POS"], ["t2", "POS"]]  # fmt: skip
