"""The training engine with fp32 weights and, if the recipe says so, Muon."""

from __future__ import annotations

from typing import Any

from residency.train.optimizer import MuonAdamW
from residency.train.train_engine import Engine


class PretrainEngine(Engine):
    """The training engine with fp32 weights (also under bf16 products) and, if the recipe says so, Muon."""

    muon_rate: float = 0.0
    """Muon's learning rate; 0 keeps AdamW for everything."""

    def __init__(self, model: Any, settings: Any, **options: Any) -> None:
        super().__init__(model.float(), settings, **options)
        if self.muon_rate:
            self.optimizer: Any = MuonAdamW(
                self.trainable,
                learning_rate=settings.learning_rate,
                muon_rate=self.muon_rate,
                weight_decay=settings.weight_decay,
            )


def make_engine_class(muon_rate: float) -> type[PretrainEngine]:
    """The engine's class with a Muon learning rate."""
    return type("PretrainEngine", (PretrainEngine,), {"muon_rate": muon_rate})
