"""Highlighting, charts and figures: what is drawn is what was given, whatever the text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from residency.nouns.finding import Finding, Span
from residency.report.clean_text import clean_text
from residency.report.highlight import highlight_findings, highlight_trained
from residency.report.score_charts import draw_rate_chart
from residency.report.svg import Drawing, choose_ticks
from residency.report.sweep_charts import (
    choose_curves,
    choose_time_ticks,
    draw_sizes,
    draw_sweep,
)
from residency.report.training_charts import draw_loss_chart, draw_time_chart, thin_curve
from residency.results.number_formats import format_duration, format_e_value, format_percent
from residency.results.run_results import RunResults
from residency.store.store import Store
from sweep_bodies import make_sweep_result


@given(
    st.text(max_size=60),
    st.lists(st.tuples(st.integers(-5, 70), st.integers(-5, 70)), max_size=5),
)
def test_highlighting_never_changes_the_text(text: str, ends: list[tuple[int, int]]) -> None:
    spans = tuple(Span(a, b, "<i>why</i>") for a, b in ends)
    marked = highlight_findings(text, Finding("r", "k", "fail", "d", "1", spans=spans))
    plain = re.sub(r"<mark title=\"[^\"]*\">|</mark>", "", str(marked))
    assert Markup(plain).unescape() == text
    assert "<i>" not in marked
    covered = {i for a, b in ends for i in range(max(a, 0), min(b, len(text)))}
    inside = re.findall(r"<mark[^>]*>(.*?)</mark>", str(marked), re.DOTALL)
    assert sum(len(Markup(piece).unescape()) for piece in inside) == len(covered)


def test_a_passed_check_marks_nothing() -> None:
    finding = Finding("r", "k", "pass", "d", "1", spans=(Span(0, 2),))
    assert highlight_findings("text", finding) == "text"


def test_tokens_keep_their_text() -> None:
    row = highlight_trained([("a\n", False), ("b&", True)])
    assert Markup(re.sub(r"<[^>]+>", "", row)).unescape() == "a\nb&"


@given(st.text(max_size=40), st.floats())
def test_a_drawing_is_well_formed_whatever_is_written_in_it(text: str, number: float) -> None:
    drawing = Drawing(100, 50, text)
    drawing.text(1, 2, text)
    drawing.dot(number, 3, "accent", hint=text)
    drawing.line((number, 0), (1, number), "line")
    root = ET.fromstring(str(drawing.to_markup()))
    titles = [element.text or "" for element in root.iter() if element.tag.endswith("title")]
    # XML readers turn line ends into one kind
    wanted = re.sub(r"\r\n?", "\n", clean_text(text))
    assert titles[0] == wanted


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_lie_between_the_ends_and_are_few(low: float, width: float) -> None:
    ticks = choose_ticks(low, low + width)
    slack = 1e-6 * max(abs(low), width)
    assert all(low - slack <= tick <= low + width + slack for tick in ticks)
    assert len(ticks) <= 7


def test_charts_of_nothing_are_nothing() -> None:
    assert draw_loss_chart({}) == ""
    assert draw_loss_chart({"a": [{"step": 1, "loss": float("nan")}]}) == ""
    assert draw_time_chart([]) == ""
    assert "0 min" not in draw_time_chart([("a", 0.0)])


def test_the_labels_of_an_axis_lie_inside_their_drawing(finished_run: Path) -> None:
    """By the widest usual font: a digit takes 0.64 of its size, a % nearly all of it."""
    store = Store(finished_run, create=False)
    models = RunResults(store).models
    sweep = draw_sweep(make_sweep_result("run-1", "urgency"))
    charts = [*sweep.charts, sweep.sizes, draw_rate_chart("repetition", models)]
    store.close()
    labels = 0
    for chart in charts:
        for text in ET.fromstring(chart).findall(".//{*}text"):
            if text.get("text-anchor") == "end" and (text.text or "").endswith("%"):
                width = 0.64 * float(text.get("font-size", "0")) * len(text.text or "")
                assert float(text.get("x", "0")) >= width, text.text
                labels += 1
    assert labels == 12


def test_long_curves_are_thinned_and_end_where_they_end() -> None:
    curve = [{"step": i, "loss": 1.0} for i in range(5001)]
    points = thin_curve(curve)
    assert len(points) <= 402
    assert points[-1] == curve[-1]


def test_control_characters_leave_a_mark() -> None:
    assert clean_text("a\x0bb\x1bc\u202ed\x00\tx\n") == "a\ufffdb\ufffdc\ufffdd\ufffd\tx\n"


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0.0 %"), (0.123456, "12.3 %"), (1.0, "100.0 %"), (None, "–")]
)
def test_percent(value: float | None, shown: str) -> None:
    assert format_percent(value).replace("\u00a0", " ") == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.0, "1"), (26.84, "26.8"), (1.46e7, "1.5·10⁷"), (float("inf"), "∞")],
)
def test_e_values_keep_what_matters(value: float, shown: str) -> None:
    assert format_e_value(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(5, "5 s"), (75, "1 min 15 s"), (3725, "1 h 2 min")]
)
def test_durations(seconds: float, shown: str) -> None:
    assert format_duration(seconds) == shown


def test_a_sweep_of_many_variants_shows_every_score_and_the_issues_of_one() -> None:
    body = make_sweep_result("run-1", "tiny, rank 4, layers all")
    score, issue = body["curves"]
    other = "tiny, rank 16, layers all"
    body["curves"] = [{**score, "variant": other}, {**issue, "variant": other}, score, issue]
    shown = choose_curves(body)
    assert [(c["variant"], c["issue"]) for c in shown] == [
        (body["best"], ""),
        (other, ""),
        (body["best"], "is-1"),
    ]
    charts = [str(chart) for chart in draw_sweep(body).charts]
    assert ">rank 4, layers all<" in charts[0] and ">rank 16, layers all<" in charts[1]
    assert "failing" in charts[2]


def test_labels_of_many_ways_to_answer_do_not_lie_upon_one_another() -> None:
    body = make_sweep_result("run-1", "x")
    row = {**body["sizes"][1], "score": {"mean": 0.01, "low": 0.0, "high": 0.1}}
    rows = [
        {**row, "name": f"way {n}", "on_front": n < 4, "answer_seconds": 0.03 + n / 1000}
        for n in range(10)
    ]
    drawn = str(draw_sizes(rows, "accuracy", "way 9"))
    labels = re.findall(r'<text x="[\d.]+" y="([\d.]+)"[^>]*>(way \d[^<]*)<', drawn)
    assert sorted(name for _, name in labels) == [f"way {n}, 16 rows" for n in (0, 1, 2, 3, 9)]
    heights = sorted(float(y) for y, _ in labels)
    assert all(after - before >= 11.9 for before, after in pairwise(heights))
    assert drawn.count("<circle") == 10


def test_ticks_of_seconds_are_round() -> None:
    assert choose_time_ticks(0.02, 0.3) == pytest.approx([0.02, 0.05, 0.1, 0.2])
    assert choose_time_ticks(0.021, 0.028) == [0.024]
