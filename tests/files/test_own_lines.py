"""Line files of ours are divided at line feeds alone, and a torn end costs nothing but itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from residency.files.own_lines import append_json_line, split_lines

# What ``str.splitlines`` divides at, and JSON may hold unescaped in a string.
ENDS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


def read_rows(path: Path) -> list[Any]:
    """What every line of the file holds; each must be whole."""
    return [json.loads(line) for line in split_lines(path.read_bytes().decode())]


@given(st.lists(st.text(alphabet=st.sampled_from("ab" + ENDS)), min_size=1))
def test_only_line_feeds_divide(lines: list[str]) -> None:
    assert split_lines("".join(f"{line}\n" for line in lines)) == lines
    assert split_lines("\r\n".join(lines) + "\r\n") == lines


def test_rows_with_every_line_separator_and_half_a_surrogate_come_back(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "a.jsonl"
    rows = [{"text": f"a{sign}b"} for sign in ENDS + "\r\n\ud800"]
    for row in rows:
        append_json_line(path, row)
    assert read_rows(path) == rows


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_torn_last_line_blocks_nothing_and_glues_nothing(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.jsonl"
    append_json_line(path, {"n": 1})
    append_json_line(path, {"n": 22})
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    known = [{"n": 1}, {"n": 22}] if cut == 1 else [{"n": 1}]
    append_json_line(path, {"n": 3})
    assert read_rows(path) == [*known, {"n": 3}]
