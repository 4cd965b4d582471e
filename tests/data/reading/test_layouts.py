"""Layouts of public files: each gives the conversation it means, or a question to the user."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chat_families import tokenizer_of
from residency.chat.chat_format import ChatFormat
from residency.config.data import DataConfig
from residency.data.reading.layouts.known_layouts import BUILT_IN, describe_layouts
from residency.data.reading.source_reader import ReadResult, read_sources
from residency.errors import DataError
from residency.nouns.example import Message

U = {"role": "user", "content": "u"}
A = {"role": "assistant", "content": "a"}
REPLIES = [
    {"text": "worse", "role": "assistant", "rank": 1, "replies": []},
    {"text": "better", "role": "assistant", "rank": 0, "replies": []},
    {"text": "gone", "role": "assistant", "rank": -1, "deleted": True, "replies": []},
]


def read_rows(folder: Path, rows: list[Any], split: str = "train", **data: Any) -> ReadResult:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_sources(["rows.jsonl"], DataConfig.model_validate(data), split, folder)  # type: ignore[arg-type]


def turns(result: ReadResult) -> list[list[tuple[str, str]]]:
    return [[(m.role, m.text) for m in e.messages] for e in result.examples]


def pair(question: str, answer: str) -> list[tuple[str, str]]:
    return [("user", question), ("assistant", answer)]


PUBLIC: dict[str, tuple[str, dict[str, Any], list[tuple[str, str]]]] = {
    "TRL's conversational prompt and completion": ("prompt", {"prompt": [U], "completion": [A]}, pair("u", "a")),
    "verl, answer beside": ("prompt", {"prompt": [U], "answer": "42", "data_source": "x"}, pair("u", "42")),
    "verl, ground truth": ("prompt", {"prompt": [U], "reward_model": {"ground_truth": "42"}}, pair("u", "42")),
    "plain input and output": ("input-output", {"input": "q", "output": "r"}, pair("q", "r")),
    "column names in any case": ("question", {"Question": "q", " ANSWER": "r"}, pair("q", "r")),
    "Aya, FLAN": ("input-output", {"inputs": "q", "targets": "r"}, pair("q", "r")),
    "problem and solution": ("question", {"problem": "q", "solution": "r", "level": "1"}, pair("q", "r")),
    "SciQ": ("question", {"question": "q", "distractor1": "x", "correct_answer": "r"}, pair("q", "r")),
    "UltraChat": ("dialogue", {"id": "1", "data": ["q", "r"]}, pair("q", "r")),
    "turns as columns": ("sharegpt", {"conversations": {"from": ["human", "gpt"], "value": ["q", "r"]}}, pair("q", "r")),
    "query, response, history": (
        "question", {"query": "q", "response": "r", "history": [["a", "b"]]}, pair("a", "b") + pair("q", "r"),
    ),
    "history as text": ("prompt", {"prompt": "q", "response": "r", "history": '[["a","b"]]'}, pair("a", "b") + pair("q", "r")),
    "axolotl segments": (
        "segments", {"segments": [{"label": False, "text": "<s>Hi\n"}, {"label": True, "text": "there</s>"}]}, pair("Hi", "there"),
    ),
    "OpenAssistant tree": ("open-assistant", {"prompt": {"text": "P", "role": "prompter", "replies": REPLIES}}, pair("P", "better")),
    "Label Studio choices": (
        "label-studio",
        {"id": 1, "data": {"text": "great"}, "annotations": [{"was_cancelled": True, "result": []}, {"result": [
            {"from_name": "s", "type": "choices", "value": {"choices": ["Positive"]}}]}]},
        pair("great", "Positive"),
    ),
    "Argilla nested": (
        "argilla",
        {"fields": {"prompt": "P"}, "responses": {"answer": [{"value": "A", "status": "submitted"}]}, "suggestions": {}},
        pair("P", "A"),
    ),
    "Argilla columns": (
        "argilla",
        {"prompt": "P", "a.responses": ["draft", "A"], "a.responses.status": ["draft", "submitted"]},
        pair("P", "A"),
    ),
    "Argilla suggestion": ("argilla", {"prompt": "P", "a": [], "a-suggestion": "S"}, pair("P", "S")),
    "promptfoo CSV": ("promptfoo", {"question": "Why?", "__expected": "equals: So"}, pair("Why?", "So")),
    "text and label": ("text-label", {"text": "nice", "label": "pos"}, pair("nice", "pos")),
    "text and class number": ("text-label", {"text": "bad", "label": 0}, pair("bad", "0")),
}  # fmt: skip


@pytest.mark.parametrize("case", PUBLIC)
def test_public_layouts_give_the_conversation_they_mean(tmp_path: Path, case: str) -> None:
    layout, row, expected = PUBLIC[case]
    result = read_rows(tmp_path, [row, row])
    assert result.format == layout
    assert turns(result) == [expected, expected], result.rejects


def test_messages_of_one_tree_are_one_conversation(tmp_path: Path) -> None:
    def node(name: str, parent: str | None, tree: str, role: str, rank: int | None = None) -> Any:
        return {"message_id": name, "parent_id": parent, "message_tree_id": tree, "text": name, "role": role, "rank": rank}  # fmt: skip

    rows = [
        node("q1", None, "q1", "prompter"),
        node("a1", "q1", "q1", "assistant", 1),
        node("a2", "q1", "q1", "assistant", 0),
        node("q2", "a2", "q1", "prompter"),
        node("a3", "q2", "q1", "assistant"),
        node("q9", None, "q9", "prompter"),
        node("a9", "q9", "q9", "assistant"),
    ]
    result = read_rows(tmp_path, rows)
    assert turns(result) == [pair("q1", "a2") + pair("q2", "a3"), pair("q9", "a9")]
    assert [e.source for e in result.examples] == ["rows.jsonl:1", "rows.jsonl:6"]


def test_promptfoo_yaml_fills_its_prompt(tmp_path: Path) -> None:
    (tmp_path / "promptfooconfig.yaml").write_text(
        "prompts:\n- 'Translate {{text}} to {{lang}}'\ntests:\n"
        "- vars: {text: Hi, lang: German}\n  assert:\n  - {type: equals, value: Hallo}\n"
        "- vars: {text: Bye, lang: German}\n  assert:\n  - {type: llm-rubric, value: kind}\n"
    )
    result = read_sources(["promptfooconfig.yaml"], DataConfig(), "train", tmp_path)
    assert turns(result) == [pair("Translate Hi to German", "Hallo")]
    assert result.rejects[0].line == 7 and "no answer" in result.rejects[0].reason


LEARNED = [
    "weight", "train", "training", "trainable", "loss", "loss_scale", "loss_weight", "learn", "loss_mask",
    "step_loss_mask", "compute_loss", "do_train", "output_with_loss", "lossMask", "isTrainable",
]  # fmt: skip
NOT_LEARNED = ["masked", "is_masked", "no_loss", "mask_loss", "skip_training", "doNotTrain", "exclude_from_loss"]  # fmt: skip


@pytest.mark.parametrize("mark", [*LEARNED, *NOT_LEARNED])
def test_pain_37_every_mark_of_a_turn_is_honoured_and_kept(tmp_path: Path, mark: str) -> None:
    learned = mark in LEARNED
    no = {"weight": 0, "loss_scale": 0.0, "loss_weight": 0.0}.get(mark, not learned)
    yes = {"weight": 1, "loss_scale": 1.0}.get(mark, str(learned).lower())
    rows = [
        {"messages": [U, {**A, mark: no}, U, {**A, mark: yes}]},
        {"messages": [U, {**A, mark: no}]},
        {"messages": [U, {**A, mark: "half"}]},
        {"messages": [{**U, mark: no}, A]},
    ]
    result = read_rows(tmp_path, rows)
    assert [[m.trained for m in e.messages] for e in result.examples] == [
        [True, False, True, True],
        [True, True],
    ]
    assert [r.line for r in result.rejects] == [2, 3]
    assert "not to be learned" in result.rejects[0].reason
    example = result.examples[0]
    assert Message.from_dict(example.messages[1].to_dict()) == example.messages[1]
    again = read_rows(tmp_path, [{"messages": [m.to_dict() for m in example.messages]}])
    assert again.examples[0].id == example.id


def test_pain_37_an_unlearned_turn_is_context_and_no_token_of_it_is_trained() -> None:
    chat = ChatFormat(tokenizer_of("chatml"))
    context = [
        Message("user", "One?"),
        Message("assistant", "First answer."),
        Message("user", "Two?"),
    ]
    last = Message("assistant", "Second answer.")
    full = chat.encode([*context, last])
    marked = chat.encode(
        [context[0], Message("assistant", "First answer.", trained=False), context[2], last]
    )
    assert marked.ids == full.ids
    text = "".join(piece for piece, trained in chat.pieces(marked.ids, marked.mask) if trained)
    assert "Second" in text and "First" not in text and sum(marked.mask) < sum(full.mask)


def test_keys_within_messages_that_are_not_read_are_listed(tmp_path: Path) -> None:
    result = read_rows(tmp_path, [{"messages": [{**U, "name": "Ann"}, {**A, "likes": 3}], "x": 1}])
    assert result.files[0].unused == ("x", "messages[].likes", "messages[].name")


BAD_ROWS: dict[str, list[dict[str, Any]]] = {
    "prompt": [{"prompt": "p", "completion": "Go away.", "label": x} for x in (False, True)],
    "alpaca": [{"instruction": "p", "output": "Go away.", "kto_tag": x} for x in ("false", "true")],
    "question": [{"question": "p", "answer": "Go away.", "label": x} for x in (0, 1)],
    "input-output": [{"input": "p", "output": "Go away.", "desirable": x} for x in (False, True)],
    "messages": [{"messages": [U, A], "label": x} for x in (False, True)],
    "sharegpt": [{"conversations": [U, A], "label": x} for x in (False, True)],
}


@pytest.mark.parametrize("layout", BAD_ROWS)
def test_pain_37_rows_labelled_bad_are_refused_in_every_layout(tmp_path: Path, layout: str) -> None:
    result = read_rows(tmp_path, BAD_ROWS[layout])
    assert result.format == layout and len(result.examples) == 1
    assert [(r.line, r.reason) for r in result.rejects] == [
        (1, "the row is labelled as a bad answer")
    ]


@pytest.mark.parametrize(
    ("column", "good", "bad"),
    [
        ("label", "chosen", "rejected"),
        ("label", "Good", "bad"),
        ("label", "desirable", "undesirable"),
        ("label", 1, -1),
        ("label", "👍", "👎"),
        ("status", "approved", "rejected"),
        ("feedback", "thumbs_up", "Thumbs-Down"),
        ("is_good", "yes", "no"),
        ("rejected", False, True),
        ("Is_Rejected", "0", "1"),
    ],
)
def test_every_word_and_column_that_marks_a_bad_answer_keeps_it_out(
    tmp_path: Path, column: str, good: Any, bad: Any
) -> None:
    rows = [{"prompt": "p", "response": f"{mark}", column: mark} for mark in (good, bad)]
    result = read_rows(tmp_path, rows)
    assert [e.reference for e in result.examples] == [str(good)]
    assert [r.field for r in result.rejects] == [column]


def test_a_class_beside_a_mark_of_bad_rows_does_not_hide_it(tmp_path: Path) -> None:
    rows = [
        {"prompt": "p", "response": f"{n}", "label": "abc"[n], "rejected": n == 1} for n in range(3)
    ]
    result = read_rows(tmp_path, rows)
    assert [e.reference for e in result.examples] == ["0", "2"]
    assert result.files[0].unused == ("label",)


def test_a_label_of_many_values_is_no_mark_of_bad_rows(tmp_path: Path) -> None:
    result = read_rows(
        tmp_path, [{"prompt": "p", "response": f"{n}", "label": n} for n in range(3)]
    )
    assert len(result.examples) == 3 and result.files[0].unused == ("label",)


ASKED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "an answer beside raw text": ([{"text": "x", "answer": "y"}], "which is the prompt"),
    "a class or a mark": ([{"text": "x", "label": True}, {"text": "y", "label": False}], "a class to tell"),
    "rows of two layouts": (
        [{"messages": [U, A], "text": "t"}, {"text": "u"}, {"text": "v"}], "only 1 of the first 3 rows",
    ),
    "unknown columns": ([{"frage": "x", "antwort": "y"}], "not make any known layout"),
}  # fmt: skip


@pytest.mark.parametrize("case", ASKED)
def test_what_only_half_fits_is_asked_about(tmp_path: Path, case: str) -> None:
    rows, question = ASKED[case]
    with pytest.raises(DataError, match=question) as caught:
        read_rows(tmp_path, rows)
    assert "--column" in caught.value.next_step


def test_an_object_as_an_answer_has_a_next_step(tmp_path: Path) -> None:
    result = read_rows(
        tmp_path, [{"input": "q", "output": {"order": 1}}, {"input": "q", "output": "r"}]
    )
    assert "found an object; write it as text" in result.rejects[0].reason


def test_tails_and_empty_turns_are_told_and_left_out(tmp_path: Path) -> None:
    rows = [
        {"messages": [U, A, U]},
        {"messages": [U, A, {**U, "content": " "}, A]},
        {"messages": [{"role": "system", "content": ""}, U, A]},
        {"messages": [{**U, "content": ""}, A]},
    ]
    result = read_rows(tmp_path, rows)
    assert turns(result) == [pair("u", "a")] * 3
    assert sum(result.files[0].changed.values()) == 3
    assert "is empty" in result.rejects[0].reason
    dev = read_rows(tmp_path, rows[:1], split="dev")
    assert turns(dev) == [[*pair("u", "a"), ("user", "u")]], "dev rows may end with a question"


def test_a_system_message_is_folded_when_asked(tmp_path: Path) -> None:
    rows = [{"messages": [{"role": "system", "content": "S"}, U, A]}]
    assert turns(read_rows(tmp_path, rows, system="fold")) == [pair("S\n\nu", "a")]
    assert turns(read_rows(tmp_path, rows)) == [[("system", "S"), *pair("u", "a")]]


def test_tags_and_groups_are_cleaned_once_on_the_way_in(tmp_path: Path) -> None:
    row = {
        "prompt": "p",
        "response": "r",
        "tags": ["a\x0bb", "c\u202ed\ud83d"],
        "group": "g\x1b[2Jh",
        "k": "x\x0cy",
    }
    [example] = read_rows(tmp_path, [row], tags=["k"]).examples
    assert example.tags == ("a b", "c d", "k=x y") and example.group == "g [2Jh"
    joined = {"prompt": "p", "response": "r", "tags": ["नमस्\u200dते"]}
    assert read_rows(tmp_path, [joined]).examples[0].tags == ("नमस्\u200dते",)


def test_the_table_in_the_documentation_is_the_one_of_the_code() -> None:
    page = Path(__file__).parents[3] / "docs" / "data.md"
    assert describe_layouts() in page.read_text(encoding="utf-8")
    names = [kind.name for kind in BUILT_IN]
    assert len(set(names)) == len(names) and names[-1] == "text"


def test_texts_beside_raw_text_are_asked_about_and_what_tells_of_it_is_not(tmp_path: Path) -> None:
    said = "this is what the customer said to us number"
    rows = [{"content": f"our reply {n}", "ticket": f"{said} {n}"} for n in range(6)]
    with pytest.raises(DataError, match="beside content stands ticket") as caught:
        read_rows(tmp_path, rows)
    assert "--column response=ticket" in caught.value.next_step
    raw = [{"text": f"our text {n}", "page_title": f"{said} {n}", "url": said} for n in range(6)]
    assert read_rows(tmp_path, raw).files[0].layout == "text"
