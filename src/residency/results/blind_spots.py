"""What a score cannot see, in words."""

from __future__ import annotations

from typing import Any

from residency.evaluate.suites.sensitivity_table import (
    BLIND,
    PROBES,
    ProbeName,
    Sensitivity,
    list_blind_spots,
)
from residency.results.number_formats import format_percent

_DENY: tuple[ProbeName, ...] = ("negated", "another", "empty")
"""Probes that no useful score passes; one answer for all may rightly be the commonest class."""


def describe_sensitivity(table: Sensitivity | None) -> dict[str, Any]:
    """What is written with the table: names of probes and of rules, and the sentence."""
    rules = dict.fromkeys(name for probe in table.probes for name in probe.rules) if table else {}
    return {
        "probe_words": PROBES,
        "probe_rules": list(rules),
        "blind_spots": describe_blind_spots(table) if table else "",
    }


def describe_blind_spots(table: Sensitivity) -> str:
    """A sentence: which wrong answers the score passes, or that it told all of them apart."""
    blind = list_blind_spots(table)
    untried = [PROBES[name] for name in _DENY if not _is_tried(table, name)]
    tail = f" Not tried: {', '.join(untried)}." if untried else ""
    reference = table.probe("reference")
    if reference is not None and reference.value is not None and reference.value < 1 - BLIND:
        tail += (
            f" Of the references themselves only {format_percent(reference.value, 0)} pass: the suite "
            "asks for what the data does not show."
        )
    if not blind:
        passed = [
            f"{PROBES[probe.name]} in {format_percent(probe.value, 0)}"
            for probe in table.probes
            if probe.name != "reference" and probe.value and probe.value >= 0.005  # not "0 %"
        ]
        tried = f"Tried on wrong answers to {table.items} dev items, the score"
        if passed:
            return f"{tried} passes {', '.join(passed)}.{tail}"
        return f"{tried} passes none of them.{tail}"
    listed = ", ".join(
        f"{PROBES[probe.name]} in {format_percent(probe.value, 0)}" for probe in blind
    )
    return f"What the score cannot see: of {table.items} dev items it passes {listed}.{tail}"


def is_blind_score(table: Sensitivity | None) -> bool:
    """Whether a score passes answers that deny the reference, belong to another row, or are empty.

    Such a score can rise while answers get no better, so that nothing is called *better* on it.
    """
    if table is None:
        return False
    return any(probe.name in _DENY for probe in list_blind_spots(table))


def _is_tried(table: Sensitivity, name: str) -> bool:
    return any(probe.name == name and probe.scored for probe in table.probes)
