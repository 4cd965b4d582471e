"""Tags of dev rows are counted by group, in one part or in many."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from residency.commands.check import check
from residency.data.checks import survey


def write_rows(path: Path, count: int) -> dict[str, int]:
    """Rows with tags and groups; gives the groups of each tag."""
    draw = random.Random(count)
    groups: dict[str, set[str]] = {}
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            tags = draw.sample(["late", "loud", "rare", "odd"], draw.randrange(3))
            group = f"{path.stem} {number // 3}" if number % 2 else ""
            for tag in tags:
                groups.setdefault(tag, set()).add(group or f"row {number}")
            words = ("".join(draw.choices("abcdefghijklmnop", k=6)) for _ in range(12))
            row = {"prompt": " ".join(words), "completion": f"Sent {number}."}
            file.write(json.dumps({**row, "tags": tags, "group": group}) + "\n")
    return {tag: len(members) for tag, members in groups.items()}


@pytest.mark.parametrize("block", [7, 1000])
def test_tags_of_dev_are_counted(
    tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "BLOCK", block)
    (tmp_path / "data").mkdir()
    write_rows(tmp_path / "data" / "train.jsonl", 40)
    expected = write_rows(tmp_path / "data" / "dev.jsonl", 90)
    (tmp_path / "residency.toml").write_text(
        '[model]\nbase = "nothing-here"\n[data]\ntrain = ["data/train.jsonl"]\n'
        'dev = ["data/dev.jsonl"]\nlimit = { dev = 45 }\nnear_duplicate = 1.0\n',
        encoding="utf-8",
    )
    found = check(tmp_path)
    assert found.report.kept["dev"] == 90
    assert found.report.dev_tags == expected
    assert list(found.report.dev_tags.values()) == sorted(expected.values(), reverse=True)
    assert found.dev_needs.startswith("45 dev rows are used.")
