"""Lists of nouns as tables: lists in every respect, frames where a library is there, and escaped."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from residency.errors import MissingExtraError
from residency.nouns.example import Example, Message
from residency.nouns.proposal import Proposal
from residency.results.table_rows import TableRows

EVIL = "<script>alert(1)</script>"


def make_rows(count: int) -> TableRows[Proposal]:
    return TableRows(
        [
            Proposal(
                "is-1",
                Example((Message("user", f"{EVIL} {n}"), Message("assistant", f"answer {n}"))),
                "pool",
                "embedding",
                n / 10,
            )
            for n in range(count)
        ],
        name="proposals",
    )


def test_a_table_is_a_list_with_a_short_view() -> None:
    rows = make_rows(50)
    assert rows == list(rows) and len(rows) == 50 and rows[0].score == 0
    assert repr(rows) == "<50 proposals>"
    html = rows._repr_html_()
    assert EVIL not in html and "&lt;script&gt;" in html
    assert html.count("<tr>") == 21  # the head and the first twenty
    assert TableRows()._repr_html_().count("<td>") == 0


def test_a_frame_has_ids_texts_and_figures() -> None:
    frame = make_rows(3).to_polars()
    assert frame.shape[0] == 3
    assert {"id", "issue", "prompt", "reference", "score", "accepted"} <= set(frame.columns)
    assert frame["score"].to_list() == [0.0, 0.1, 0.2]
    assert frame["reference"].to_list() == ["answer 0", "answer 1", "answer 2"]


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name in ("polars", "pandas"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match="polars"):
        make_rows(1).to_polars()


def test_one_row_is_told_as_one() -> None:
    assert (
        repr(make_rows(1)) == "<1 proposal>" and "<b>1 proposal</b>" in make_rows(1)._repr_html_()
    )
    assert repr(make_rows(2)) == "<2 proposals>"
