"""What a sweep could not do, in sentences beside its result."""

from __future__ import annotations

from collections.abc import Sequence

from residency.errors import ResidencyError
from residency.jobs.job import Job
from residency.sweep.plan import count_rows
from residency.text.counts import write_count

MOST_NAMED = 3
"""Failures that are told with their reason."""


def describe_failures(failed: Sequence[tuple[Job, ResidencyError]], missing: int) -> list[str]:
    """Which jobs failed and why, and how many trainings are missing by it; nothing where none did."""
    if not failed:
        return []
    lines = [f"failed: {job.title}: {error.what}" for job, error in failed[:MOST_NAMED]]
    if len(failed) > MOST_NAMED:
        lines.append(f"failed: {len(failed) - MOST_NAMED} more")
    trainings = write_count(missing, "training is", "trainings are")
    return [*lines, f"{trainings} missing by that; the same command tries again"]


def describe_equal_sizes(shares: Sequence[float], train_rows: int) -> list[str]:
    """Shares of so few rows that several of them are one size; nothing where each is its own."""
    sizes: dict[int, list[str]] = {}
    for share in sorted(set(shares)):
        sizes.setdefault(count_rows(share, train_rows), []).append(f"{100 * share:g}")
    return [
        f"{', '.join(names)} % of {write_count(train_rows, 'row')} are one size: "
        f"{write_count(rows, 'row')}"
        for rows, names in sizes.items()
        if len(names) > 1
    ]
