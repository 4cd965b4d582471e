"""Values that are no text are trained as their file writes them, never as a parser's other reading."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from residency.config.data import DataConfig
from residency.data.reading.source_reader import read_sources

WRITTEN = (
    *("012", "-012", "yes", "no", "NO", "on", "off", "y", "12:30", "1:02:03", "1_000", "0x1F"),
    *("0o17", "0b11", "2020-01-01", "2001-12-14t21:59:43.10-05:00", "1.10", "1e5", "1.e+3", ".5"),
    *(".inf", ".nan", "00.5", "+7", "12345678901234567890", "0.00001", "1.0", "1.5", "-7", "0"),
    *("true", "false", "="),
)


def read_answers(path: Path) -> list[str]:
    result = read_sources([path.name], DataConfig(), "train", path.parent)
    return [example.messages[-1].content for example in result.examples]


def test_yaml_scalars_keep_their_letters(tmp_path: Path) -> None:
    rows = [
        f"- prompt: what is number {n}\n  completion: {text}\n" for n, text in enumerate(WRITTEN)
    ]
    path = tmp_path / "rows.yaml"
    path.write_text("".join(rows))
    assert read_answers(path) == list(WRITTEN)


def test_yaml_marks_are_still_values(tmp_path: Path) -> None:
    path = tmp_path / "rows.yaml"
    path.write_text(
        "- {prompt: a, completion: right, weight: 2}\n"
        "- {prompt: b, completion: wrong, label: false}\n"
        "- {prompt: c, completion: null, label: true}\n"
    )
    assert read_answers(path) == ["right"]


@pytest.mark.parametrize("value", [True, False, 12, -3, 1.5])
def test_json_values_are_written_as_json(value: object, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"prompt": "is it so?", "completion": value}) + "\n")
    assert read_answers(path) == [json.dumps(value)]
