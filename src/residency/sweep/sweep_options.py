"""What a sweep tries."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from residency.config.secret_url import reveal_url
from residency.config.train import TrainConfig
from residency.data.block_workers import check_reachable
from residency.errors import UserError
from residency.project.endpoints import Endpoint
from residency.store.remote_folders import check_shared
from residency.sweep.cell import Variant
from residency.sweep.changed_settings import change_settings

SHARES = (0.12, 0.25, 0.5, 1.0)
MOST_TRAININGS = 2000


@dataclass(frozen=True)
class SweepOptions:
    """What to vary, how long it may take, and where it runs.

    Attributes:
        bases: names as in ``model.base``; none: the project's.
        shares: of the train split, each in (0, 1]. seeds: trainings at each size.
        learning_rates, ranks, layers: values of ``[train]`` to try; none: the project's.
        minutes: all trainings together may take so long, by the estimate; 0: no bound.
        jobs: processes on this machine. cluster: a Ray cluster's address, instead.
        artifacts: folder or fsspec URL for the jobs' files; empty: in ``.residency``.
        hour_price: of the machine that answers, in any currency; 0: not counted.
        endpoint: a server that answers dev too, for a row of the size table. It is sent the prompts.
    """

    bases: tuple[str, ...] = ()
    shares: tuple[float, ...] = SHARES
    seeds: int = 3
    learning_rates: tuple[float, ...] = ()
    ranks: tuple[int, ...] = ()
    layers: tuple[str, ...] = ()
    minutes: float = 30.0
    jobs: int = 1
    cluster: str = ""
    artifacts: str = ""
    hour_price: float = 0.0
    endpoint: Endpoint | None = None

    def __post_init__(self) -> None:
        """Raises ``UserError`` for what cannot be meant."""
        if not self.shares or not all(0 < share <= 1 for share in self.shares):
            raise UserError(
                "sizes are per cent of the train split, above 0 and up to 100",
                where="--sizes",
                next_step="for example --sizes 12,25,50,100",
            )
        if self.seeds < 1 or self.jobs < 1 or self.minutes < 0 or not 0 <= self.hour_price < inf:
            raise UserError("seeds and jobs count from 1, minutes and prices from 0", where="sweep")
        check_reachable(reveal_url(self.cluster))
        check_shared(self.artifacts, "--artifacts")

    def list_variants(self, project_base: str, settings: TrainConfig) -> list[Variant]:
        """Every base with every combination of the settings that are varied.

        Raises:
            ConfigError: a value that the setting does not take. UserError: too many of them.
        """
        varied: dict[str, Sequence[Any]] = {
            "learning_rate": self.learning_rates,
            "rank": self.ranks,
            "layers": self.layers,
        }
        varied = {name: list(dict.fromkeys(values)) for name, values in varied.items() if values}
        bases = list(dict.fromkeys(self.bases)) or [project_base]
        out = []
        for base, *values in itertools.product(bases, *varied.values()):
            changed = dict(zip(varied, values, strict=True))
            change_settings(settings, changed, "sweep")
            out.append(Variant(str(base), changed))
        if len(out) * len(self.shares) * self.seeds > MOST_TRAININGS:
            raise UserError(
                f"{len(out) * len(self.shares) * self.seeds} trainings are asked for",
                where="sweep",
                next_step=f"vary less: {MOST_TRAININGS} are the most",
            )
        return out
