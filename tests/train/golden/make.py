"""Write ``losses.json``: the loss curve of each architecture and method on fixed rows.

    python tests/train/golden/make.py

The curves are made by the engine itself once it equals PEFT and plain PyTorch
(tests/train/test_parity.py); they show that a later change has the identical loss.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "helpers"))

from residency.config.train import TrainConfig
from residency.interfaces import TokenRow
from residency.train.batch_source import EpochBatches
from residency.train.train_engine import Engine
from tiny_archs import ARCHITECTURES, rows, tiny

FILE = Path(__file__).parent / "losses.json"
METHODS: dict[str, dict[str, object]] = {
    "lora": {},
    "full": {"method": "full", "learning_rate": 1e-3},
    "lora top-1": {"layers": "top-1"},
    "rslora": {"rslora": True},
    "dora": {"dora": True},
    "lora+": {"lora_plus": 8.0},
    "every token": {"objective": "full"},
    "dpo": {"objective": "dpo"},
}
STEPS = 12


def cases() -> list[tuple[str, str]]:
    """LoRA and full for every architecture, every method for Llama."""
    some = [(name, method) for name in ARCHITECTURES for method in ("lora", "full")]
    return some + [("llama", method) for method in METHODS if method not in ("lora", "full")]


def curve(name: str, method: str) -> list[float]:
    """Losses of the first steps."""
    settings = TrainConfig(
        **{
            "rank": 4,
            "alpha": 8,
            "layers": "all",
            "learning_rate": 5e-3,
            "batch_size": 4,
            **METHODS[method],
        }
    )
    torch.set_num_threads(1)
    engine = Engine(tiny(name), settings, total_steps=STEPS, seed=11)
    data = [
        TokenRow(
            a.example,
            a.ids,
            (True,) * len(a.ids) if method == "every token" else a.mask,
            a.weight,
            b.ids,
            b.mask,
        )
        for a, b in zip(rows(16), rows(16, seed=1), strict=True)
    ]
    batches = EpochBatches(data, 4, 3, seed=5)
    return [engine.step(batches.batch(step)).loss for step in range(STEPS)]


if __name__ == "__main__":
    curves = {f"{name} {method}": curve(name, method) for name, method in cases()}
    FILE.write_text(json.dumps(curves, indent=1) + "\n", encoding="utf-8")
    print(f"{len(curves)} curves in {FILE}")
