"""Which model is taken: the cheapest that is not shown to be worse."""

from __future__ import annotations

import random

from residency.sweep.size_table import (
    SizeRow,
    average_items,
    compare_rows,
    mark_front,
    measure_figure,
    recommend_row,
)

ITEMS = [f"i{n}" for n in range(200)]
GROUPS = {item: item for item in ITEMS}


def make_row(name: str, rate: float, seconds: float, *, rows: int = 100, seed: int = 0) -> SizeRow:
    """A row whose items differ in difficulty: the same for all rows of one seed."""
    rng = random.Random(seed)
    outcome = {item: float(rng.random() < rate) for item in ITEMS}
    return SizeRow(
        name=name,
        rows=rows,
        trainings=1,
        score=measure_figure([outcome], GROUPS),
        issues={},
        minutes=1.0,
        predicted_minutes=1.0,
        memory=1,
        predicted_memory=1,
        tokens_per_second=1.0,
        answer_seconds=seconds,
        cost=None,
        by_item=average_items([outcome]),
    )


def test_the_front_holds_what_nothing_beats_in_both() -> None:
    rows = [make_row("good", 0.9, 3), make_row("slow", 0.5, 4), make_row("fast", 0.3, 1)]
    assert [row.name for row in mark_front(rows) if row.on_front] == ["good", "fast"]
    twins = [make_row("a", 0.5, 1), make_row("b", 0.5, 1)]
    assert all(row.on_front for row in mark_front(twins))


def test_the_cheaper_is_taken_only_where_it_is_shown_to_be_as_good() -> None:
    best, same = make_row("large", 0.8, 4), make_row("small", 0.8, 1)
    name, said = recommend_row([best, same], GROUPS, "score")
    assert name == "small" and "Take small on 100 rows" in said[0]
    # Of other items right, the same on average: chance may hide a loss, so the best is taken.
    other = make_row("small", 0.79, 1, seed=1)
    name, said = recommend_row([best, other], GROUPS, "score")
    assert name == max((best, other), key=lambda r: r.score.mean or 0).name
    worse = make_row("small", 0.5, 1)
    name, said = recommend_row([best, worse], GROUPS, "score")
    assert name == "large" and "behind by more than chance" in said[1]
    assert "200 items" in said[-1]


def test_nothing_scored_or_nothing_right_gives_no_advice() -> None:
    assert recommend_row([], GROUPS, "score")[0] == ""
    assert recommend_row([make_row("a", 0.0, 1)], GROUPS, "score")[0] == ""


def test_a_figure_allows_for_seeds_beside_items() -> None:
    rng = random.Random(0)
    one = {item: float(rng.random() < 0.5) for item in ITEMS}
    flipped = {item: 1.0 if n < 160 else value for n, (item, value) in enumerate(one.items())}
    alone, both = measure_figure([one], GROUPS), measure_figure([one, flipped], GROUPS)
    assert both.mean is not None and alone.mean is not None
    assert both.low <= alone.mean and both.high >= sum(flipped.values()) / 200
    assert measure_figure([{"i0": None}], GROUPS).mean is None


def test_a_comparison_is_paired_by_item() -> None:
    a, b = make_row("a", 0.6, 1), make_row("b", 0.6, 1)
    assert compare_rows(a, b, GROUPS)[0] == 0.0
    mean, low, high, count = compare_rows(make_row("c", 0.9, 1), a, GROUPS)
    assert 0 < low < mean < high and count == 200


def test_what_scores_nothing_is_not_on_the_front_however_fast() -> None:
    rows = [make_row("good", 0.9, 3), make_row("spoilt", 0.0, 0.1)]
    assert [row.name for row in mark_front(rows) if row.on_front] == ["good"]
