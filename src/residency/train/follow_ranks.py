"""One command on several processes: rank 0 does it, the others join its trainings.

A project has one writer. Under ``torchrun`` rank 0 runs the command; every other rank waits in
``follow`` and trains what ``lead`` tells it to, until ``dismiss``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from residency.config.train import TrainConfig
from residency.interfaces import TokenRow
from residency.train.distributed import world
from residency.train.train_loop import TrainResult, train


def lead(
    base: Path,
    rows: Sequence[TokenRow],
    settings: TrainConfig,
    out: Path,
    *,
    seed: int,
    threads: int = 0,
    device: str = "auto",
    trunk_cache: Path | None = None,
    hashes: Mapping[str, str] | None = None,
    dev: Sequence[TokenRow] = (),
    extend: bool = False,
    **own: Any,
) -> TrainResult:
    """``train``, together with the processes that follow. ``own``: callbacks of this process."""
    options = {"seed": seed, "threads": threads, "device": device, "hashes": dict(hashes or {})}
    options["extend"] = extend
    team = world()
    if team.size > 1:
        team.tell(
            {
                "base": str(base),
                "rows": [_packed(row) for row in rows],
                "dev": [_packed(row) for row in dev],
                "settings": settings.model_dump(mode="json"),
                "out": str(out),
                "trunk_cache": str(trunk_cache) if trunk_cache is not None else None,
                **options,
            }
        )
    return train(base, rows, settings, out, trunk_cache=trunk_cache, dev=dev, **options, **own)  # type: ignore[arg-type]


def follow() -> None:
    """Join the trainings of rank 0 until it dismisses."""
    team = world()
    while job := team.tell():
        base, out, trunk = (job.pop(name) for name in ("base", "out", "trunk_cache"))
        train(
            Path(base),
            [_unpacked(row) for row in job.pop("rows")],
            TrainConfig(**job.pop("settings")),
            Path(out),
            trunk_cache=Path(trunk) if trunk else None,
            dev=[_unpacked(row) for row in job.pop("dev")],
            **job,
        )
    team.leave()


def dismiss() -> None:
    """Let the followers end; rank 0's last word."""
    team = world()
    team.tell({})
    team.leave()


def _packed(row: TokenRow) -> list[Any]:
    return [
        row.example,
        row.ids,
        [int(trained) for trained in row.mask],
        row.weight,
        row.rejected_ids,
        [int(trained) for trained in row.rejected_mask],
    ]


def _unpacked(raw: Sequence[Any]) -> TokenRow:
    example, ids, mask, weight, rejected_ids, rejected_mask = raw
    return TokenRow(
        example,
        tuple(ids),
        tuple(map(bool, mask)),
        weight,
        tuple(rejected_ids),
        tuple(map(bool, rejected_mask)),
    )
