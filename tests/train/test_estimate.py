"""The estimate against a real run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from residency.cli.estimate import describe_estimate
from residency.config.train import TrainConfig
from residency.errors import TrainingError
from residency.interfaces import TokenRow
from residency.train.estimate import Estimate, estimate_training
from tiny_archs import rows


@pytest.mark.slow
def test_pain_20_memory_is_known_before_the_run(tmp_path: Path) -> None:
    """Peak memory within 10 % of a real run."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=2000,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        bos_token_id=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    long = [
        TokenRow(str(n), (n + 3, *row.ids[1:-1] * 8, 2), (False, *row.mask[1:-1] * 8, True))
        for n, row in enumerate(rows(24, alike=2))
    ]
    settings = TrainConfig(layers="top-2", batch_size=8, epochs=1)
    found = estimate_training(tmp_path, long, settings, threads=1, device="cpu", check_steps=3)
    assert found.steps == 3
    assert found.memory_error is not None and abs(found.memory_error) < 0.1
    assert found.time_error is not None
    assert found.frozen_seconds > 0 and found.seconds > found.step_seconds * 3


def test_a_failed_probe_says_why(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no config\.json"):
        estimate_training(tmp_path, rows(), TrainConfig())


def test_what_people_read() -> None:
    found = Estimate(3 * 2**30, 2**28, 2**30, 2**29, 0, 150, 0.5, 20.0, 95.0, 3 * 2**30, 0.55)
    text = "\n".join(describe_estimate(found))
    assert "3.00 GiB" in text and "1 min 35 s" in text and "150 steps of 0.50 s" in text
    assert "model 1.00 GiB" in text and "cache" not in text
    assert "off by +0% and -9%" in text
    assert found.to_dict()["memory_error"] == 0
