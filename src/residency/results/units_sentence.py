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
    """``tell_units`` of a run's dev items, and of which mix they are."""
    units = tell_units(results.store.corpus_groups(results.run, "dev").values())
    return " ".join(filter(None, (units, tell_mix(list(results.oversampled)))))


def tell_mix(tags: Collection[str]) -> str:
    """That dev was given more rows of some tags than chance gives it; nothing without any.

    Figures within such a slice need no weights; for the mix of all rows there is the sealed test.
    """
    if not tags:
        return ""
    return (
        f"Dev was given more rows of {', '.join(tags)} than their share (data.oversample_dev): figures "
        "over all of dev are of that mix, the sealed test has the mix of all rows."
    )
