"""Files of public data sets that are no rows of questions and answers say how they become some."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from residency.config.data import DataConfig
from residency.data.reading.source_reader import read_sources
from residency.errors import DataError

NLU = 'nlu:\n- intent: order\n  examples: |\n    - a [pizza](food) please\n    - two [soups]{"entity": "food"}\n- synonym: pie\n  examples: |\n    - tart\n'
FILES: dict[str, tuple[Any, list[list[str]]]] = {
    "task1.json": (
        {"Definition": ["Is it food?"], "Positive Examples": [{"input": "pie", "output": "yes"}],
         "Instances": [{"id": "1", "input": "soup", "output": ["yes"]}]},
        [["Is it food?\n\nsoup", "yes"]],
    ),
    "persona.json": (
        [{"personality": ["i like dogs ."], "utterances": [
            {"candidates": ["no", "two dogs ."], "history": ["hi", "hello", "any pets ?"]}]}],
        [["Your persona: i like dogs .", "hi", "hello", "any pets ?", "two dogs ."]],
    ),
    "persona.jsonl": (
        '{"personality": ["a", "b"], "utterances": [{"candidates": ["fine"], "history": ["hi"]}]}\n' * 2,
        [["Your persona: a b", "hi", "fine"]] * 2,
    ),
    "nlu.yml": (NLU, [["a pizza please", "order"], ["two soups", "order"]]),
    "nlu.json": (
        {"rasa_nlu_data": {"common_examples": [{"text": "hi", "intent": "greet", "entities": []}]}},
        [["hi", "greet"]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_the_command_makes_rows_that_are_read(name: str, tmp_path: Path) -> None:
    content, want = FILES[name]
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        read_sources([name], DataConfig(), "train", tmp_path)
    assert caught.value.next_step.endswith("> rows.jsonl")
    command = caught.value.next_step.replace("python ", f"{sys.executable} ", 1)
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    rows = read_sources(["rows.jsonl"], DataConfig(), "train", tmp_path).examples
    assert [[message.text for message in row.messages] for row in rows] == want


@pytest.mark.parametrize(
    "text", ["stories:\n- story: a\n  steps:\n  - intent: hi\n", "intents:\n- hi\nresponses:\n  utter_hi:\n  - text: Hey\n"]
)  # fmt: skip
def test_flows_without_texts_name_the_file_that_has_some(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(text)
    with pytest.raises(DataError, match="Rasa's") as caught:
        read_sources(["a.yml"], DataConfig(), "train", tmp_path)
    assert "NLU examples" in caught.value.next_step


def test_the_definition_of_a_task_stands_before_its_input(tmp_path: Path) -> None:
    row = {"id": "task1-1", "definition": "Is it food?", "inputs": "soup", "targets": "yes"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    result = read_sources(["rows.jsonl"], DataConfig(), "train", tmp_path)
    assert [m.text for m in result.examples[0].messages] == ["Is it food?\n\nsoup", "yes"]
    assert result.files[0].unused == ("id",)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("context", [["Book", ["It is by Ann.", " It is long."]], ["Other", ["Nothing."]]]),
        ("context", {"title": ["Book", "Other"], "sentences": [["It is by Ann.", "It is long."], ["Nothing."]]}),
        ("contexts", ["Book\nIt is by Ann. It is long.", "Other\nNothing."]),
        ("CONTEXTS", ["Book\nIt is by Ann. It is long.", " Other\nNothing. "]),
        ("context", {"contexts": ["Book\nIt is by Ann. It is long.", "Other\nNothing."], "labels": ["A", "B"]}),
        ("passages", ["Book\nIt is by Ann. It is long.", "Other\nNothing."]),
    ],
)  # fmt: skip
def test_passages_are_one_context(column: str, value: Any, tmp_path: Path) -> None:
    row = {"question": "By whom?", column: value, "answer": "Ann"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    (example,) = read_sources(["rows.jsonl"], DataConfig(), "train", tmp_path).examples
    assert (
        example.messages[0].text == "By whom?\n\nBook\nIt is by Ann. It is long.\n\nOther\nNothing."
    )


@pytest.mark.parametrize("value", [[1, 2], [{"a": 1}], {"a": [1]}, [["a", 1]], [["a", "b", "c"]]])
def test_what_is_no_list_of_passages_is_still_refused(value: Any, tmp_path: Path) -> None:
    row = {"question": "By whom?", "context": value, "answer": "Ann"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    (reject,) = read_sources(["rows.jsonl"], DataConfig(), "train", tmp_path).rejects
    assert reject.field == "context"
