"""Which trainings fit the time: every size once and the small ones often, before anything twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from residency.errors import UserError
from residency.sweep.cell import Cell, Variant
from residency.sweep.sweep_options import SweepOptions

START_SECONDS = 5.0
"""Loading the model and cutting rows, each training."""
SMALL_SHARE = 0.25
"""Sizes up to this share get every seed first: they are cheap, and vary most."""


@dataclass(frozen=True)
class VariantCost:
    """What a variant takes, by the estimate and a probe.

    Attributes:
        step_seconds: a training step. batch_size, epochs: as it trains. memory: bytes at most.
        frozen_seconds: its frozen layers, once. answer_seconds: an answer.
        layer_key: variants that share it have the same frozen layers.
    """

    step_seconds: float
    batch_size: int
    epochs: float
    memory: int
    frozen_seconds: float
    answer_seconds: float
    layer_key: str = ""

    def predict_training(self, rows: int) -> float:
        """Seconds of the steps on so many rows."""
        return max(1, round(rows * self.epochs / self.batch_size)) * self.step_seconds


@dataclass(frozen=True)
class PlannedCell:
    """A cell with its seconds by the estimate, answers included."""

    cell: Cell
    seconds: float


@dataclass(frozen=True)
class SweepPlan:
    """What will run, cheapest first, and what was left out for want of time.

    ``shared_seconds`` are for what several cells use: frozen layers, and answers of bare bases.
    ``seconds`` is by the estimate, on ``workers`` at a time.
    """

    cells: tuple[PlannedCell, ...]
    left_out: tuple[PlannedCell, ...]
    costs: Mapping[str, VariantCost]
    shared_seconds: float
    workers: int
    minutes: float

    @property
    def seconds(self) -> float:
        """Seconds of wall time, if nothing is done yet."""
        total = self.shared_seconds + sum(cell.seconds for cell in self.cells)
        longest = max((cell.seconds for cell in self.cells), default=0.0)
        return max(total / self.workers, longest)

    @property
    def seconds_of_all(self) -> float:
        """The same with what was left out."""
        return self.seconds + sum(cell.seconds for cell in self.left_out) / self.workers

    @property
    def sizes(self) -> list[int]:
        """Numbers of rows, rising."""
        return sorted({planned.cell.rows for planned in self.cells})

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""

        def rows(cells: Sequence[PlannedCell]) -> list[dict[str, Any]]:
            return [
                {
                    "title": planned.cell.title,
                    "variant": planned.cell.variant.name,
                    "rows": planned.cell.rows,
                    "seed": planned.cell.repeat,
                    "seconds": planned.seconds,
                }
                for planned in cells
            ]

        return {
            "cells": rows(self.cells),
            "left_out": rows(self.left_out),
            "shared_seconds": self.shared_seconds,
            "seconds": self.seconds,
            "seconds_of_all": self.seconds_of_all,
            "workers": self.workers,
            "minutes": self.minutes,
        }


def plan_sweep(
    variants: Sequence[Variant],
    costs: Mapping[str, VariantCost],
    options: SweepOptions,
    *,
    train_rows: int,
    answers: int,
    shared: float,
    workers: int = 1,
) -> SweepPlan:
    """Choose the cells.

    A cell's rank is 0 where it is the first of its size, or its size is small; each further seed of a
    large size comes one rank later. Within a rank the cheapest come first, and what no longer fits is left
    out.

    Args:
        costs: by the variants' keys. answers: of one cell. shared: seconds of shared work.

    Raises:
        UserError: not even one training of three sizes fits.
    """
    sizes = {max(1, round(share * train_rows)): share for share in sorted(options.shares)}
    ranked: list[tuple[int, float, int, PlannedCell]] = []
    for variant in variants:
        cost = costs[variant.key]
        for rows, share in sizes.items():
            seconds = START_SECONDS + cost.predict_training(rows) + answers * cost.answer_seconds
            for repeat in range(options.seeds):
                rank = 0 if share <= SMALL_SHARE else repeat
                planned = PlannedCell(Cell(variant, rows, share, repeat), seconds)
                ranked.append((rank, seconds, len(ranked), planned))
    budget = options.minutes * 60 * workers if options.minutes else float("inf")
    left = budget - shared
    chosen, out = [], []
    for _, seconds, _, planned in sorted(ranked, key=lambda item: item[:3]):
        if seconds <= left:
            chosen.append(planned)
            left -= seconds
        else:
            out.append(planned)
    wanted = min(3, len(sizes))
    if len({planned.cell.rows for planned in chosen}) < wanted:
        first = {p.cell.rows: p for p in sorted((r[3] for r in ranked), key=lambda p: -p.seconds)}
        need = shared + sum(sorted(p.seconds for p in first.values())[:wanted])
        raise UserError(
            f"{options.minutes:g} minutes are too few: one training at each of {wanted} sizes takes "
            f"{need / 60 / workers:.0f} by the estimate",
            where="--minutes",
            next_step="allow more minutes, or take a smaller --base",
        )
    chosen.sort(key=lambda planned: (planned.seconds, planned.cell.repeat))
    return SweepPlan(tuple(chosen), tuple(out), dict(costs), shared, workers, options.minutes)
