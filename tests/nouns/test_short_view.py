"""Whatever a value holds, it is a short line as text and escaped in a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from residency.config.data import DataConfig
from residency.config.settings import Config
from residency.nouns.example import Example, Message
from residency.nouns.issue import Issue, Slice
from residency.nouns.model import Model
from residency.nouns.short_view import ShortView, add_drawing

EVIL = "<script>alert(1)</script>"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(EVIL * 40),
    lambda inner: st.lists(inner) | st.dictionaries(st.just(EVIL) | st.text(), inner),
    max_leaves=20,
)


@dataclass(frozen=True)
class Figure:
    name: Any
    mean: float


@dataclass(frozen=True, repr=False)
class Result(ShortView):
    title: Any
    figures: Any


def test_a_noun_is_a_line_with_its_id_and_a_table() -> None:
    messages = (Message("user", f"{EVIL}" * 99), Message("assistant", "b" * 9999))
    for noun in (
        Example(messages),
        Issue("wrong", Slice("tag", EVIL), "suite", "1", 0.1, 0, "m-1", examples=("ex",) * 999),
        Model("tiny", prompting="zero-shot"),
    ):
        assert noun.id in repr(noun) and len(repr(noun)) < 400
        assert noun.id in noun._repr_html_() and "<script" not in noun._repr_html_()


def test_settings_are_shown_where_they_differ_from_the_defaults() -> None:
    config = Config(data=DataConfig.model_validate({"train": ["postgresql://bob:MARKER@h/d"]}))
    assert repr(Config()) == "Config()"
    assert repr(config).startswith("Config(data=DataConfig(train=[")
    assert "<td>data.train</td>" in config._repr_html_()
    assert "MARKER" not in repr(config) + config._repr_html_()


@given(VALUES, VALUES)
def test_any_value_is_short_and_escaped(title: Any, figures: Any) -> None:
    result = Result(title, figures)
    assert len(repr(result)) < 300
    page = result._repr_html_()
    assert "<script" not in page
    assert page.count("<table") == page.count("</table>") >= 1


def test_long_lists_are_cut_and_say_so() -> None:
    many = Result("t", [Figure(EVIL, 0.5)] * 1000)
    assert repr(many) == "<Result title='t', figures=(1000)>"
    page = many._repr_html_()
    assert len(page) < 8000 and "… and 980 more" in page and "&lt;script&gt;" in page


def test_counts_by_kind_are_one_line() -> None:
    page = Result("t", {"format": [1, 2, 3], "impolite": []})._repr_html_()
    assert "format: (3) · impolite: (0)" in page


def test_a_drawing_stands_above_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("residency.nouns.short_view._DRAWINGS", {})
    add_drawing(f"{Result.__module__}.Result", lambda result: f"<svg>{result.title}</svg>")
    assert Result("t", ())._repr_html_().index("<svg>t</svg>") < len("<div><b>Result</b>") + 1
    assert "<svg" not in repr(Result("t", ()))
