"""Numbers agree with their nouns, everywhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import residency
from residency.text.counts import write_count

ROOMS = ("data", "cli", "commands", "loop", "train", "model", "diagnose")
NOUNS = (
    "rows|items|answers|turns|pairs|votes|issues|requests|labels|tensors|trainings|models|verdicts"
)
COUNTED = re.compile(rf"^ (?:\w+ )?({NOUNS})\b")
MORE_THAN_ONE = re.compile(
    r"\b(of|of the|all|first|other|most|least|than|about|with|to|at|have|has|needs) $"
)
NO_COUNTS = {
    "name",
    "seed",
    "verdicts",
    "response.id",
    "' or '.join(splits)",
    "dev",
    "rows",
    "row['n']",
    "size",
}
"""What is no number, or one of many by its meaning (rows of embeddings, rows that dev needs)."""
TEMPLATES = {"len(adapters)", "value", "tensors", "count"}


def list_bare_counts(path: Path) -> Iterator[str]:
    """Parts of a file's texts in which a number stands beside a noun for many."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.JoinedStr):
            continue
        before = ""
        for part, after in zip(node.values, node.values[1:], strict=False):
            if isinstance(part, ast.FormattedValue) and isinstance(after, ast.Constant):
                number = ast.unparse(part.value)
                counts = COUNTED.match(str(after.value)) and not MORE_THAN_ONE.search(before)
                if counts and number not in NO_COUNTS | TEMPLATES and "write_count" not in number:
                    yield f"{path.name}:{part.lineno}: {{{number}}}{after.value}"
            before = str(part.value) if isinstance(part, ast.Constant) else ""


@pytest.mark.parametrize("room", ROOMS)
def test_no_text_says_1_rows(room: str) -> None:
    folder = Path(residency.__file__).parent / room
    assert [text for path in folder.rglob("*.py") for text in list_bare_counts(path)] == []


def test_the_noun_follows_the_number() -> None:
    assert [write_count(n, "row") for n in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert write_count(1, "row has", "rows have") == "1 row has"
    assert write_count(0, "row has", "rows have") == "0 rows have"
