"""What rates and changes count, where items are grouped: said once beside tables that show both."""

from __future__ import annotations

from collections.abc import Collection

from residency.results.run_results import RunResults


def tell_units(groups: Collection[str], split: str = "dev") -> str:
    """Which figures count items and which count groups; nothing where every item is one group.

    Args:
        groups: the group of each item.
    """
    items, count = len(groups), len(set(groups))
    if count == items:
        return ""
    return (
        f"The {items} items of {split} are {count} groups of like ones: rates of one model count "
        "items; the change between two models, its interval and p count groups."
    )


def tell_run_units(results: RunResults) -> str:
    """``tell_units`` of a run's dev items."""
    return tell_units(results.store.corpus_groups(results.run, "dev").values())
