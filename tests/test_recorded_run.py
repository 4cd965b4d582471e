"""README's figures are those of the recorded run, and its sums add up."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("record_run", ROOT / "benchmarks/record_run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = load_script()
RECORDS = sorted(path.stem for path in SCRIPT.RECORDED.glob("*.json"))


def test_a_run_is_recorded() -> None:
    assert RECORDS


def test_pages_say_what_was_recorded() -> None:
    assert SCRIPT.fill_pages(check=True) == []
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert any(f"<!-- recorded {base} -->" in readme for base in RECORDS)


@pytest.mark.parametrize("base", RECORDS)
def test_every_issue_of_the_recorded_run_is_counted_once(base: str) -> None:
    record = SCRIPT.read_record(base)
    counts = SCRIPT.count_statuses(record["status"])
    assert sum(counts.values()) == len(record["status"]["issues"])
    assert set(counts) <= set(SCRIPT.STATUSES)
    said = SCRIPT.describe_statuses(counts)
    assert sum(int(word) for word in said.split() if word.isdigit()) == sum(counts.values())
