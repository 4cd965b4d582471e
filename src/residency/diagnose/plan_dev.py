"""Before any data is collected: how many dev rows a slice needs to show a fall."""

from __future__ import annotations

import math

from residency.config.diagnose import DiagnoseConfig
from residency.config.rounds import RoundsConfig
from residency.diagnose.error_budget import round_alpha
from residency.stats.power import count_rows_to_show
from residency.text.percent import write_percent

ISSUES = 6
"""Issues among which a round's share of α is taken to be shared."""
RATE = 0.4
"""Failure rate before that the falls start from."""
FALLS = (0.2, 0.1)


def describe_dev_needs(dev: int, diagnose: DiagnoseConfig, rounds: RoundsConfig) -> str:
    """How many dev rows a slice needs for a fall of 20 and of 10 points; nothing without dev rows.

    At the level of one of six issues in one of the rounds, with 80 % power; the part of dev that
    finds issues measures nothing, so a slice needs more rows than measure. Lone rows: of paraphrases
    each group counts as one.
    """
    if not dev:
        return ""
    alpha = round_alpha(diagnose.alpha, 1, rounds.max) / ISSUES
    parts = []
    for fall in FALLS:
        measured = count_rows_to_show(RATE, fall, alpha)
        if measured is not None:
            rows = math.ceil(measured / (1 - diagnose.finding_share))
            parts.append(f"{rows} rows for a fall by {100 * fall:.0f} points")
    return (
        f"Dev has {dev} rows. A slice that fails {write_percent(RATE, 0)} needs, to show it with 80 % power, "
        f"{' and '.join(parts)} (one of {ISSUES} issues, {rounds.max} rounds); rare slices need more "
        "rows of their kind, not more of all."
    )
