"""The estimate against a real run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from residency.cli.estimate import describe_estimate
from residency.commands.project import Project
from residency.errors import TrainingError, UserError
from residency.train.estimate import Estimate, run_apart
from small import save_model, save_project


@pytest.mark.slow
def test_pain_20_memory_is_known_before_the_run(tmp_path: Path) -> None:
    """Peak memory within 10 % of a real run."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=320,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        bos_token_id=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(save_model(tmp_path / "model"))
    root = save_project(tmp_path / "project", tmp_path / "model")
    settings = {"train.layers": "top-2", "train.batch_size": 5, "train.epochs": 1}
    found = Project.open(root, overrides=settings).estimate(check_steps=3)
    assert found.steps == 4
    assert found.memory_error is not None and abs(found.memory_error) < 0.1
    assert found.time_error is not None
    assert found.frozen_seconds > 0 and found.seconds > found.step_seconds * 3


def test_a_failed_probe_says_why(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="the probe failed: KeyError") as caught:
        run_apart("residency.commands.estimate", {"root": str(tmp_path)}, 0)
    assert "micro_tokens" in caught.value.next_step


def test_an_error_of_ours_in_the_probe_keeps_its_kind(tmp_path: Path) -> None:
    """So the command ends with 2, and says what mends it."""
    job = {"root": str(tmp_path), "config": {}, "full": False}
    with pytest.raises(UserError) as caught:
        run_apart("residency.commands.estimate", job, 0)
    assert "residency.toml" in str(caught.value) and "micro_tokens" not in str(caught.value)


def test_what_people_read() -> None:
    found = Estimate(3 * 2**30, 2**28, 2**30, 2**29, 0, 150, 0.5, 20.0, 95.0, 3 * 2**30, 0.55)
    text = "\n".join(describe_estimate(found))
    assert "3.00 GiB" in text and "1 min 35 s" in text and "150 steps of 0.50 s" in text
    assert "model 1.00 GiB" in text and "cache" not in text
    assert "off by +0% and -9%" in text
    assert found.to_dict()["memory_error"] == 0
