"""A benchmark's difference is written in its own unit, and never a perplexity's in points."""

from __future__ import annotations

from residency.cli.result_tables import build_differences_table
from residency.evaluate.benchmarks.score_items import LOG_METRICS
from residency.results.benchmark_change import LOG_UNITS, tell_change, write_margin

SHARE = {"metric": "acc", "delta": -0.015, "low": -0.049, "high": 0.014}
BITS = {"metric": "bits_per_byte", "delta": -0.0123, "low": -0.02, "high": -0.0046}


def test_every_metric_of_log_likelihood_has_its_unit() -> None:
    assert set(LOG_UNITS) == LOG_METRICS


def test_shares_are_points_and_log_likelihoods_are_bits_or_nats() -> None:
    assert tell_change(SHARE) == "−1.5 points, −4.9 to +1.4"
    assert tell_change(BITS) == "−0.0123 bits a byte, −0.0200 to −0.0046"
    assert tell_change(BITS | {"metric": "word_perplexity"}).startswith("−0.0123 nats a word")


def test_the_margin_is_told_in_the_units_that_are_there() -> None:
    assert write_margin(0.02, ["acc", "acc_norm"]) == "2 points"
    assert write_margin(0.02, ["acc", "bits_per_byte"]) == "2 points or 0.02 bits"
    assert write_margin(0.02, ["word_perplexity"]) == "0.02 nats"


def test_the_table_of_a_run_says_the_unit_of_each_row() -> None:
    more = {"task": "t", "fixed": 1, "broken": 2, "p_value": 0.5, "status": "kept"}
    table = build_differences_table("final", "base", [SHARE | more, BITS | more], 0.02)
    assert (
        table.title == "final against base, same items; kept: no loss beyond 2 points or 0.02 bits"
    )
    assert list(table.columns[2].cells) == ["−1.5 points", "−0.0123 bits a byte"]
