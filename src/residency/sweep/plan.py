"""Which trainings fit the time: three sizes once, the small ones often, and every size once before any large one twice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from residency.errors import UserError
from residency.sweep.cell import Cell, Variant
from residency.sweep.sweep_options import SweepOptions

START_SECONDS = 5.0
"""Loading the model and cutting rows, each training."""
FEWEST_SIZES = 3
"""A curve needs so many."""
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
    ``seconds`` is by the estimate, on ``workers`` at a time. ``done``: cells that an earlier call did.
    """

    cells: tuple[PlannedCell, ...]
    left_out: tuple[PlannedCell, ...]
    costs: Mapping[str, VariantCost]
    shared_seconds: float
    workers: int
    minutes: float
    done: int = 0

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
            "done": self.done,
            "workers": self.workers,
            "minutes": self.minutes,
        }


def count_rows(share: float, train_rows: int) -> int:
    """Rows of a share of the train split; 1 at least."""
    return max(1, round(share * train_rows))


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

    One training at each of the three cheapest sizes comes before all else: without them there is no
    curve. Of the others a cell's rank is 0 where it is the first of its size, or its size is small; each
    further seed of a large size comes one rank later. Within a rank the cheapest come first, and what no
    longer fits is left out.

    Args:
        costs: by the variants' keys. answers: of one cell. shared: seconds of shared work.

    Raises:
        UserError: not even one training of three sizes fits.
    """
    sizes = {count_rows(share, train_rows): share for share in sorted(options.shares)}
    ranked: list[tuple[int, float, int, PlannedCell]] = []
    first: dict[int, PlannedCell] = {}
    for variant in variants:
        cost = costs[variant.key]
        for rows, share in sizes.items():
            seconds = START_SECONDS + cost.predict_training(rows) + answers * cost.answer_seconds
            for repeat in range(options.seeds):
                rank = 0 if share <= SMALL_SHARE else repeat
                planned = PlannedCell(Cell(variant, rows, share, repeat), seconds)
                ranked.append((rank, seconds, len(ranked), planned))
                if rows not in first or seconds < first[rows].seconds:
                    first[rows] = planned
    needed = sorted(first.values(), key=lambda planned: planned.seconds)[:FEWEST_SIZES]
    wall = options.minutes * 60 if options.minutes else math.inf
    left = wall * workers - shared
    chosen: list[PlannedCell] = []
    out: list[PlannedCell] = []
    others = [planned for *_, planned in sorted(ranked, key=lambda item: item[:3])]
    for planned in [*needed, *(one for one in others if one not in needed)]:
        if planned.seconds <= min(left, wall):
            chosen.append(planned)
            left -= planned.seconds
        else:
            out.append(planned)
    if not all(one in chosen for one in needed):
        seconds = sum(planned.seconds for planned in needed)
        minutes = max((shared + seconds) / workers, needed[-1].seconds) / 60
        raise UserError(
            f"{options.minutes:g} minutes are too few: one training at each of {len(needed)} sizes takes "
            f"{math.ceil(10 * minutes) / 10:g} by the estimate",
            where="--minutes",
            next_step="allow more minutes, or take a smaller --base",
        )
    chosen.sort(key=lambda planned: (planned.seconds, planned.cell.repeat))
    return SweepPlan(tuple(chosen), tuple(out), dict(costs), shared, workers, options.minutes)
