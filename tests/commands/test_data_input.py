"""What ``check`` and ``init`` say to files that cannot be used, or hold too little."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from residency.cli.app import build_app
from residency.commands.init import init
from residency.errors import DataError


def write_rows(path: Path, count: int, **extra: object) -> Path:
    rows = [
        {"prompt": f"question {n} of {n * n}", "response": f"{n}", **extra} for n in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_no_usable_row_is_an_error(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", 3, label=False)
    result = CliRunner().invoke(build_app("check"), ["check", str(path), "--base", "no such base"])
    assert result.exit_code == 2 and "labelled as a bad answer" in result.output
    result = CliRunner().invoke(
        build_app("check"), ["check", str(path), "--base", "no such base", "--json"]
    )
    assert result.exit_code == 2 and '"rejected": 3' in result.output
    good = write_rows(tmp_path / "b.jsonl", 3)
    assert (
        CliRunner()
        .invoke(build_app("check"), ["check", str(good), "--base", "no such base"])
        .exit_code
        == 0
    )


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("photo.png", b"\x89PNG\r\n\x1a\n....", "a picture"),
        ("photo.png", b"no picture at all", "hold no rows of text"),
        ("a.jsonl", b'{"prompt": "a", "response": ""}\n', "no answer to train on"),
        ("a.csv", b"frage,antwort\na,b\n", "not make any known layout"),
    ],
)
def test_init_refuses_what_holds_no_rows(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        init(tmp_path / "project", files={"train": [tmp_path / name]})
    assert caught.value.next_step and not (tmp_path / "project").exists()


@pytest.mark.parametrize(
    ("count", "words"), [(3, "no change at all"), (120, "less than"), (400, "")]
)
def test_init_says_how_many_rows_a_run_needs(tmp_path: Path, count: int, words: str) -> None:
    made = init(tmp_path / "p", files={"train": [write_rows(tmp_path / "a.jsonl", count)]})
    need = made.notes.get("rows", "")
    assert words in need and ("400 rows" in need) == bool(words)


def test_init_tells_the_first_refused_row(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", 2)
    path.write_text(path.read_text() + '{"prompt": "a", "response": ""}\n')
    made = init(tmp_path / "p", files={"train": [path]})
    assert "1 refused (the first: " in made.notes[str(path)]
    assert "no answer to train on" in made.notes[str(path)]


def test_init_divides_raw_text_only_when_told_where(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        "".join(json.dumps({"text": f"Q: {n} {n * n}?\nA: {n}"}) + "\n" for n in range(9))
    )
    with pytest.raises(DataError, match="could not be asked") as caught:
        init(tmp_path / "p", files={"train": [path]})
    assert r"--split-at '\nA:'" in caught.value.next_step
    init(tmp_path / "p", files={"train": [path]}, split_at="\nA:")
    assert r'split_at = "\nA:"' in (tmp_path / "p" / "residency.toml").read_text()


def test_init_takes_the_splits_of_a_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in ("train", "valid", "test"):
        write_rows(data / f"{name}.jsonl", 4)
    init(tmp_path / "p", files={"train": [data]})
    text = (tmp_path / "p" / "residency.toml").read_text()
    assert "valid.jsonl" in text.partition("dev = ")[2].partition("\n")[0]
    assert "test.jsonl" in text.partition("test = ")[2].partition("\n")[0]
