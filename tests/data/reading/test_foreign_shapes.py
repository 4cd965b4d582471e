"""Conversations as other programs write them: whatever the shape, the same turns come out."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from residency.config.data import DataConfig
from residency.data.reading.conversations import read_messages
from residency.data.reading.file_preview import preview_file
from residency.data.reading.find_layout import find_mapping
from residency.data.reading.layouts.open_assistant import OTHER_PATHS
from residency.data.reading.map_rows import map_row
from residency.data.reading.marked_turns import read_marked_turns
from residency.data.reading.source_reader import ReadResult, read_sources
from residency.errors import DataError

Turns = list[tuple[str, str]]
WORDS = st.text(st.sampled_from("abc äßñ 你好\n.!?'"), min_size=1, max_size=20).map(
    lambda text: f"w{' '.join(text.split())}w"
)
TALKS = st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4)


def flatten(talk: list[tuple[str, str]]) -> Turns:
    return [turn for q, a in talk for turn in (("user", q), ("assistant", a))]


def write_turns(talk: list[tuple[str, str]]) -> dict[str, list[Any]]:
    """One conversation in every shape that is read."""
    turns = flatten(talk)
    langchain = {"user": "human", "assistant": "ai"}
    gemini = {"user": "user", "assistant": "model"}
    return {
        "openai": [{"role": r, "content": t} for r, t in turns],
        "capitals": [{"Role": r.title(), "Content": t} for r, t in turns],
        "parts": [{"role": r, "content": [{"type": "text", "text": t}]} for r, t in turns],
        "responses": [
            {"role": r, "content": [{"type": "output_text", "text": t}]} for r, t in turns
        ],
        "sharegpt": [
            {"from": {"user": "human", "assistant": "gpt"}[r], "value": t} for r, t in turns
        ],
        "speaker": [{"speaker": r, "text": t} for r, t in turns],
        "author": [{"author": {"role": r}, "message": t} for r, t in turns],
        "langchain": [{"type": langchain[r], "data": {"content": t}} for r, t in turns],
        "langchain flat": [{"type": langchain[r], "content": t} for r, t in turns],
        "gemini": [{"role": gemini[r], "parts": [{"text": t}]} for r, t in turns],
        "pairs": [{"human": q, "assistant": a} for q, a in talk],
        "pairs, capitals": [{"User": q, "Bot": a} for q, a in talk],
    }


@settings(max_examples=40)
@given(TALKS)
def test_every_shape_of_turns_gives_the_same_conversation(talk: list[tuple[str, str]]) -> None:
    for shape, turns in write_turns(talk).items():
        read = read_messages(turns, "messages")
        assert [(m.role, m.content) for m in read] == flatten(talk), shape


@pytest.mark.parametrize("column", ["messages", "Conversations", "chat", "dialogue", "contents"])
@pytest.mark.parametrize("rows", [1, 3])
def test_a_row_is_a_conversation_under_any_of_its_names(
    tmp_path: Path, column: str, rows: int
) -> None:
    for shape, turns in write_turns([("q", "a"), ("r", "b")]).items():
        result = read_rows(tmp_path, [{column: turns}] * rows)
        assert [[(m.role, m.content) for m in e.messages] for e in result.examples] == [
            flatten([("q", "a"), ("r", "b")])
        ] * rows, shape


def read_rows(folder: Path, rows: list[Any], name: str = "rows.jsonl", **data: Any) -> ReadResult:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_sources([name], DataConfig.model_validate(data), "train", folder)


def list_turns(result: ReadResult) -> list[Turns]:
    return [[(m.role, m.text) for m in e.messages] for e in result.examples]


def test_bare_lists_of_turns_are_conversations_on_lines_and_in_an_array(tmp_path: Path) -> None:
    talks = [[{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": f"a{n}"}] for n in range(3)]  # fmt: skip
    expected = [[("user", f"q{n}"), ("assistant", f"a{n}")] for n in range(3)]
    assert list_turns(read_rows(tmp_path, talks)) == expected
    (tmp_path / "all.json").write_text(json.dumps(talks))
    assert list_turns(read_sources(["all.json"], DataConfig(), "train", tmp_path)) == expected


def test_what_follows_an_array_is_told_and_single_turns_are_asked_about(tmp_path: Path) -> None:
    (tmp_path / "two.json").write_text('[{"question": "a", "answer": "b"}]\n[{"question": "c"}]\n')
    result = read_sources(["two.json"], DataConfig(), "train", tmp_path)
    assert len(result.examples) == 1 and "more text after the array" in result.rejects[0].reason
    with pytest.raises(DataError, match="one turn of a conversation"):
        read_rows(tmp_path, [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])  # fmt: skip


def test_tools_reasoning_and_refusals_of_other_programs_are_read() -> None:
    read = read_messages(
        [
            {"role": "user", "content": "weather?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "1", "name": "w", "input": {"c": "x"}},
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "1", "content": "sun"}],
            },
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "f", "arguments": "{}"},
            },
            {"role": "function", "name": "f", "content": "3"},
            {"role": "assistant", "content": "b", "reasoning": "so"},
            {"role": "assistant", "content": None, "refusal": "No."},
        ],
        "messages",
    )
    assert [m.role for m in read] == ["user", "assistant", "tool", "assistant", "tool"] + [
        "assistant"
    ] * 2
    assert (read[1].thinking, read[1].content) == ("hm", "I look.")
    assert read[1].tool_calls[0]["function"] == {"name": "w", "arguments": {"c": "x"}}
    assert read[2].content == "sun" and read[3].tool_calls[0]["function"]["name"] == "f"
    assert (read[5].thinking, read[6].content) == ("so", "No.")


FORMS = {
    "Anthropic": lambda r, t: f"\n\n{'Human' if r == 'user' else 'Assistant'}: {t}",
    "Guanaco": lambda r, t: f"### {'Human' if r == 'user' else 'Assistant'}: {t}",
    "ChatML": lambda r, t: f"<|im_start|>{r}\n{t}<|im_end|>\n",
    "Llama 3": lambda r, t: f"<|start_header_id|>{r}<|end_header_id|>\n\n{t}<|eot_id|>",
    "Gemma": lambda r, t: (
        f"<start_of_turn>{'user' if r == 'user' else 'model'}\n{t}<end_of_turn>\n"
    ),
    "Zephyr": lambda r, t: f"<|{r}|>\n{t}</s>\n",
    "Vicuna": lambda r, t: f"{r.upper()}: {t}{' ' if r == 'user' else '</s>'}",
    "Llama 2": lambda r, t: f"<s>[INST] {t} [/INST]" if r == "user" else f" {t} </s>",
}


@settings(max_examples=40)
@given(TALKS)
def test_written_out_chats_give_their_turns(talk: list[tuple[str, str]]) -> None:
    for name, write in FORMS.items():
        text = "".join(itertools.starmap(write, flatten(talk)))
        assert [(m.role, m.content) for m in read_marked_turns(text)] == flatten(talk), name


def test_a_chat_column_of_written_out_turns_with_calls_of_tools() -> None:
    """Glaive's function calls: marks between blank lines, a mark in the system column too."""
    row = {
        "system": "SYSTEM: You may call functions.",
        "chat": "USER: Rate?\n\n\nASSISTANT: <functioncall> {} <|endoftext|>\n\n\n"
        'FUNCTION RESPONSE: {"rate": 2}\n\n\nASSISTANT: It is 2. <|endoftext|>\n\n\n',
    }
    mapping = find_mapping([row] * 4)
    assert mapping.layout.name == "chat-text" and mapping.columns["text"] == "chat"
    messages = map_row(row, mapping).messages
    assert [(m.role, m.content) for m in messages] == [
        ("system", "You may call functions."),
        ("user", "Rate?"),
        ("assistant", "<functioncall> {}"),
        ("tool", '{"rate": 2}'),
        ("assistant", "It is 2."),
    ]


def test_columns_inside_of_objects_are_named_by_their_path() -> None:
    rows = [{"translation": {"de": f"Wort {n}", "en": f"word {n}"}, "id": n} for n in range(4)]
    with pytest.raises(DataError) as caught:
        find_mapping(rows)
    assert "--column question=translation.de --column response=translation.en" in str(caught.value)
    named = {"question": "translation.de", "response": "translation.en"}
    mapping = find_mapping(rows, columns=named)
    messages = map_row(rows[3], mapping).messages
    assert [m.content for m in messages] == ["Wort 3", "word 3"]
    with pytest.raises(DataError, match=r"translation\.fr"):
        find_mapping(rows, columns={**named, "response": "translation.fr"})
    many = [{"q": {"body": "a", "title": "b"}, "answers": [{"text": "c"}], "n": 1}] * 4
    with pytest.raises(DataError, match=r"inside of objects: q\.body, q\.title"):
        find_mapping(many)
    mapping = find_mapping(many, columns={"question": "q.body", "response": "answers.0.text"})
    assert [m.content for m in map_row(many[0], mapping).messages] == ["a", "c"]
    plain = [{"q.body": "x", "q": {"body": "y"}, "a": "z"}] * 4
    mapping = find_mapping(plain, columns={"question": "q.body", "response": "a"})
    assert map_row(plain[0], mapping).messages[0].content == "x", "a column's own name comes first"


@given(st.text(max_size=60))
def test_prose_that_does_not_begin_with_a_mark_is_no_chat(text: str) -> None:
    assert read_marked_turns(f"It said Human: hi. {text}") == ()


def test_a_file_of_written_out_chats_loses_its_marks_unless_told_otherwise(tmp_path: Path) -> None:
    rows = [{"text": f"### Human: q{n}### Assistant: a{n}"} for n in range(4)]
    result = read_rows(tmp_path, rows)
    assert result.format == "chat-text"
    assert list_turns(result)[3] == [("user", "q3"), ("assistant", "a3")]
    raw = read_rows(tmp_path, rows, format="text")
    assert [e.messages[0].content for e in raw.examples] == [row["text"] for row in rows]
    split = read_rows(tmp_path, rows, split_at="### Assistant:")
    assert split.format == "text" and split.examples[0].messages[0].content == "### Human: q0"


def test_pairs_whose_prompt_stands_within_or_twice(tmp_path: Path) -> None:
    def chat(answer: str) -> list[dict[str, str]]:
        return [{"role": "user", "content": "q"}, {"role": "assistant", "content": answer}]

    rows: list[dict[str, Any]] = [
        {"chosen": "\n\nHuman: q\n\nAssistant: good", "rejected": "\n\nHuman: q\n\nAssistant: bad"},
        {"prompt": "q", "messages": chat("good"), "chosen": chat("good"), "rejected": chat("bad")},
        {"messages": chat("good"), "chosen": chat("good"), "rejected": chat("bad")},
        {"prompt": "\n\nHuman: q\n\nAssistant:", "chosen": "good", "rejected": "bad"},
        {"question": "q", "response_j": "good", "response_k": "bad"},
        {
            "input": {"messages": chat("")[:1], "tools": []},
            "preferred_output": chat("good")[1:],
            "non_preferred_output": chat("bad")[1:],
        },
    ]
    for row in rows:
        result = read_rows(tmp_path, [row])
        assert list_turns(result) == [[("user", "q"), ("assistant", "good")]], (row, result.rejects)
        assert result.examples[0].rejected == "bad"


def test_messages_of_trees_are_joined_in_any_order_and_other_paths_are_told(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    for tree in "xyz":
        rows += [
            {"message_id": tree, "parent_id": None, "text": f"q{tree}", "role": "prompter"},
            {"message_id": f"{tree}1", "parent_id": tree, "text": "worse", "role": "assistant", "rank": 1},
            {"message_id": f"{tree}2", "parent_id": tree, "text": "best", "role": "assistant", "rank": 0},
            {"message_id": f"{tree}3", "parent_id": f"{tree}2", "text": "more", "role": "prompter"},
            {"message_id": f"{tree}4", "parent_id": f"{tree}3", "text": "sure", "role": "assistant"},
        ]  # fmt: skip
        for row in rows[-5:]:
            row["message_tree_id"] = tree
    for seed in range(5):
        random.Random(seed).shuffle(rows)
        result = read_rows(tmp_path, rows)
        read = sorted(list_turns(result))
        assert read == [
            [("user", f"q{t}"), ("assistant", "best"), ("user", "more"), ("assistant", "sure")]
            for t in "xyz"
        ]
        assert result.files[0].changed == {OTHER_PATHS: 3}
        assert len(preview_file(tmp_path / "rows.jsonl", {}).examples) == 3


def test_short_exports_of_label_studio_are_no_raw_text(tmp_path: Path) -> None:
    own = {"id": 1, "annotator": 1, "annotation_id": 7, "lead_time": 1.5}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"text": "Nice!", "mood": "pos"}, "pos"),
        ({"text": "Nice!", "mood": {"choices": ["pos", "glad"]}}, "pos, glad"),
        ({"text": "Nice!", "mood": '{"choices": ["pos", "glad"]}'}, "pos, glad"),
        ({"text": "Nice!", "reply": ["one", "two"]}, "one\ntwo"),
    ]
    for row, answer in cases:
        result = read_rows(tmp_path, [{**own, **row}] * 2)
        assert list_turns(result)[0] == [("user", "Nice!"), ("assistant", answer)], result.rejects
    several = {**own, "text": "Nice!", "url": "http://x", "mood": "pos"}
    assert "which column is the answer" in read_rows(tmp_path, [several]).rejects[0].reason
    named = read_rows(tmp_path, [several], columns={"question": "text", "response": "mood"})
    assert list_turns(named) == [[("user", "Nice!"), ("assistant", "pos")]]


def test_forms_of_argilla_1_and_conversations_as_fields(tmp_path: Path) -> None:
    forms = [
        {"values": {"answer": {"value": "draft"}}, "status": "discarded"},
        {"values": {"answer": {"value": "good"}}, "status": "submitted"},
    ]
    chat = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "draft"}]
    rows: list[dict[str, Any]] = [
        {"fields": {"prompt": "q"}, "responses": forms},
        {
            "fields": {"prompt": "q"},
            "responses": [],
            "suggestions": [{"question_name": "answer", "value": "good"}],
        },
        {"fields": {"chat": chat}, "responses": {"answer": [{"value": "good"}]}},
    ]
    for row in rows:
        assert list_turns(read_rows(tmp_path, [row])) == [[("user", "q"), ("assistant", "good")]]


def test_listed_variables_of_promptfoo_are_a_test_each(tmp_path: Path) -> None:
    (tmp_path / "tests.yaml").write_text(
        "prompts: ['{{a}}+{{b}}']\ntests:\n- vars: {a: [1, 2], b: [3, 4]}\n"
        "  assert: [{type: equals, value: '{{b}}'}]\n"
    )
    result = read_sources(["tests.yaml"], DataConfig(), "train", tmp_path)
    assert list_turns(result) == [
        [("user", f"{a}+{b}"), ("assistant", str(b))] for a in (1, 2) for b in (3, 4)
    ]


CHOICES: dict[str, dict[str, Any]] = {
    "number": {"choices": ["3", "4", "5"], "answer": 1},
    "letter": {"options": ["3", "4", "5"], "answer": "B"},
    "small letter": {"options": ["3", "4", "5"], "answer": "b"},
    "text": {"options": {"A": "3", "B": "4", "C": "5"}, "answer": "4"},
    "ARC": {"choices": {"text": ["3", "4", "5"], "label": ["A", "B", "C"]}, "answerKey": "B"},
    "number as text": {"endings": ["x", "y", "z"], "label": "1"},
    "numbers": {"choices": [3, 4, 5], "answer": 4},
    "columns by letter": {"A": "3", "B": "4", "C": "5", "answer": "B"},
    "columns by number": {"choice0": "3", "choice1": "4", "choice2": "5", "answer": "1"},
    "numbers of columns": {"choice0": "1", "choice1": "2", "choice2": "3", "answer": "1"},
    "columns from 1": {"option1": "1", "option2": "2", "option3": "3", "answer": 2},
    "options": {"Option A": "x", "Option B": "y", "Option C": "z", "Answer": "b"},
}


@pytest.mark.parametrize("case", CHOICES)
def test_choices_stand_in_the_prompt_and_the_letter_is_the_answer(
    tmp_path: Path, case: str
) -> None:
    result = read_rows(tmp_path, [{"question": "Which?", **CHOICES[case]}])
    turns = list_turns(result)[0]
    assert turns[1] == ("assistant", "B") and turns[0][1].startswith("Which?\nA. "), result.rejects
    assert turns[0][1].count("\n") == 3


def test_a_choice_that_is_not_there_is_refused(tmp_path: Path) -> None:
    rows = [{"question": "q", "choices": ["x", "y"], "answer": answer} for answer in (7, "z", 0)]
    result = read_rows(tmp_path, rows)
    assert [r.line for r in result.rejects] == [1, 2] and len(result.examples) == 1


def test_a_class_beside_texts_is_asked_about_but_not_where_they_come_from(tmp_path: Path) -> None:
    rows = [{"id": n, "text": f"t{n}", "mood": ["up", "down"][n % 2]} for n in range(8)]
    with pytest.raises(DataError, match="mood") as caught:
        read_rows(tmp_path, rows)
    assert "--column class=mood" in str(caught.value)
    assert list_turns(read_rows(tmp_path, rows, columns={"class": "mood"}))[1] == [
        ("user", "t1"),
        ("assistant", "down"),
    ]
    sources = [{"id": n, "text": f"t{n}", "source": ["wiki", "web"][n % 2]} for n in range(8)]
    assert read_rows(tmp_path, sources).format == "text"


def test_two_unknown_columns_are_named_in_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_rows(tmp_path, [{"id": 1, "user text": "q", "bot": "a"}])
    assert "--column question='user text' --column response=bot" in str(caught.value)
    columns = {"question": "user text", "response": "bot"}
    result = read_rows(tmp_path, [{"id": 1, "user text": "q", "bot": "a"}], columns=columns)
    assert list_turns(result) == [[("user", "q"), ("assistant", "a")]]


def test_one_answer_in_a_list_is_the_answer_and_several_are_refused(tmp_path: Path) -> None:
    rows = [
        {"question": "q", "answers": {"text": ["a", "a"], "answer_start": [0, 0]}},
        {"question": "q", "answers": {"text": ["a", "b"], "answer_start": [0, 4]}},
    ]
    result = read_rows(tmp_path, rows)
    assert list_turns(result) == [[("user", "q"), ("assistant", "a")]]
    assert "2 different answers" in result.rejects[0].reason


CALL = {"id": "c", "type": "function", "function": {"name": "find", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            {
                "messages": [{"role": "user", "content": "Where?"}],
                "chosen": {"role": "assistant", "content": "Here.", "reasoning_content": "I look."},
                "rejected": {"role": "assistant", "content": "No.", "reasoning_content": "Hm."},
            },
            "reasoning cannot be kept apart",
        ),
        (
            {
                "messages": [{"role": "user", "content": "Where?"}],
                "chosen": {"role": "assistant", "content": None, "tool_calls": [CALL]},
                "rejected": {"role": "assistant", "content": "No."},
            },
            "calls a tool",
        ),
        (
            {
                "system": "Be kind.",
                "messages": [
                    {"role": "system", "content": "Be short."},
                    {"role": "user", "content": "Where?"},
                    {"role": "assistant", "content": "Here."},
                ],
            },
            "another system message",
        ),
    ],
)
def test_what_would_be_lost_of_a_row_refuses_it(
    row: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    """One answer with reasoning and one without would teach the reasoning, not the answer."""
    path = tmp_path / "rows.jsonl"
    path.write_text((json.dumps(row) + "\n") * 2, encoding="utf-8")
    read = read_sources([str(path)], DataConfig(train=[str(path)]), "train", tmp_path)
    assert not read.examples
    assert reason in str(read.rejects[0].reason)


def test_a_system_column_joins_definitions_of_tools_that_stand_alone(tmp_path: Path) -> None:
    tool = {"type": "function", "function": {"name": "find", "parameters": {}}}
    row = {
        "system": "Be kind.",
        "input": {"messages": [{"role": "user", "content": "Where?"}], "tools": [tool]},
        "chosen": "Here.",
        "rejected": "No.",
    }
    path = tmp_path / "rows.jsonl"
    path.write_text((json.dumps(row) + "\n") * 2, encoding="utf-8")
    read = read_sources([str(path)], DataConfig(train=[str(path)]), "train", tmp_path)
    first = read.examples[0].messages[0]
    assert (first.role, first.content, len(first.tools)) == ("system", "Be kind.", 1)
