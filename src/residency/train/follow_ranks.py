"""One command on several processes: rank 0 does it, the others join its trainings.

A project has one writer. Under ``torchrun`` rank 0 runs the command; every other rank waits in
``follow`` and trains what ``lead`` tells it to, until ``dismiss``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from residency.config.train import TrainConfig
from residency.interfaces import TokenRow
from residency.train.distributed import join_world
from residency.train.train_loop import train
from residency.train.train_options import TrainOptions
from residency.train.train_result import TrainResult


def lead_training(
    base: Path, rows: Sequence[TokenRow], settings: TrainConfig, out: Path, options: TrainOptions
) -> TrainResult:
    """``train``, together with the processes that follow; callbacks stay in this process."""
    team = join_world()
    if team.size > 1:
        trunk = options.trunk_cache
        team.tell(
            {
                "base": str(base),
                "rows": [_pack_row(row) for row in rows],
                "dev": [_pack_row(row) for row in options.dev],
                "settings": settings.model_dump(mode="json"),
                "out": str(out),
                "trunk_cache": str(trunk) if trunk is not None else None,
                "options": {
                    "seed": options.seed,
                    "threads": options.threads,
                    "device": options.device,
                    "hashes": dict(options.hashes),
                    "extend": options.extend,
                },
                "scores": options.evaluate_folder is not None,
            }
        )
    return train(base, rows, settings, out, options)


def follow_trainings() -> None:
    """Join the trainings of rank 0 until it dismisses."""
    team = join_world()
    while job := team.tell():
        trunk = job["trunk_cache"]
        options = TrainOptions(
            trunk_cache=Path(trunk) if trunk else None,
            dev=[_unpack_row(row) for row in job["dev"]],
            evaluate_folder=_leave_to_first if job["scores"] else None,
            **job["options"],
        )
        rows = [_unpack_row(row) for row in job["rows"]]
        train(Path(job["base"]), rows, TrainConfig(**job["settings"]), Path(job["out"]), options)
    team.leave()


def _leave_to_first(folder: Path) -> float:
    """Rank 0 alone scores; that there is something to score makes the others wait for it."""
    return 0.0


def dismiss_followers() -> None:
    """Let the followers end; rank 0's last word."""
    team = join_world()
    team.tell({})
    team.leave()


def _pack_row(row: TokenRow) -> list[Any]:
    return [
        row.example,
        row.ids,
        [int(trained) for trained in row.mask],
        row.weight,
        row.rejected_ids,
        [int(trained) for trained in row.rejected_mask],
    ]


def _unpack_row(raw: Sequence[Any]) -> TokenRow:
    example, ids, mask, weight, rejected_ids, rejected_mask = raw
    return TokenRow(
        example,
        tuple(ids),
        tuple(map(bool, mask)),
        weight,
        tuple(rejected_ids),
        tuple(map(bool, rejected_mask)),
    )
