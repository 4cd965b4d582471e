"""Before any data is collected: how many dev rows a slice needs to show a fall."""

from __future__ import annotations

import math
from collections.abc import Mapping

from residency.config.diagnose import DiagnoseConfig
from residency.config.rounds import RoundsConfig
from residency.diagnose.error_budget import round_alpha
from residency.stats.power import count_rows_to_show, minimum_detectable
from residency.text.percent import write_percent

ISSUES = 6
"""Issues among which a round's share of α is taken to be shared."""
RATE = 0.4
"""Failure rate before that the falls start from."""
FALLS = (0.2, 0.1)
SHOWN_TAGS = 6


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
        f"{dev} dev rows are used. A slice that fails {write_percent(RATE, 0)} needs, to show it with 80 % power, "
        f"{' and '.join(parts)} (one of {ISSUES} issues, {rounds.max} rounds); rare slices need more "
        "rows of their kind, not more of all."
    )


def describe_tags(
    groups: Mapping[str, int],
    dev: int,
    diagnose: DiagnoseConfig,
    rounds: RoundsConfig,
    *,
    split_off: bool = False,
) -> str:
    """What the slice of each tag could show by itself, before anything is trained.

    Args:
        groups: dev groups of each tag. dev: dev rows that are used; a tag that all of them have is
            no slice. split_off: whether dev is split off from train, so that a rare tag can be given more.
    """
    alpha = round_alpha(diagnose.alpha, 1, rounds.max) / ISSUES
    shown, unable = [], []
    for tag, count in sorted(groups.items(), key=lambda item: -item[1]):
        if count >= dev:
            continue
        measured = round(count * (1 - diagnose.finding_share))
        failing = round(RATE * measured)
        lone = [1.0] * failing + [0.0] * (measured - failing)
        fall = minimum_detectable(lone, [1] * measured, alpha)
        if math.isinf(fall):
            unable.append(f"{tag} ({count})")
        else:
            shown.append(f"{tag} ({count} rows) a fall by {100 * fall:.0f} points")
    parts = []
    if shown:
        parts.append(f"By tag, if {write_percent(RATE, 0)} fail: {_list_few(shown, '; ')}.")
    if unable:
        more = "; [data] oversample_dev gives a tag more" if split_off else ""
        parts.append(
            f"Too few dev rows to show even a fall to none: {_list_few(unable, ', ')}{more}."
        )
    return " ".join(parts)


def _list_few(names: list[str], mark: str) -> str:
    more = len(names) - SHOWN_TAGS
    return mark.join(names[:SHOWN_TAGS]) + (f" and {more} more" if more > 0 else "")
