"""QLoRA on a CPU: the base lies in 4 bits, and training is LoRA on what those bits say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from residency.config.train import TrainConfig
from residency.interfaces import TokenRow
from residency.model.four_bits import dequantise_weight
from residency.model.load_model import load_model
from residency.model.lora_linear import lora_modules
from residency.train.train_engine import Engine
from residency.train.train_loop import train
from residency.train.train_options import TrainOptions
from tiny_archs import VOCABULARY, rows

pytest.importorskip("bitsandbytes", reason="the extra gpu is not installed")
SETTINGS = TrainConfig(rank=4, alpha=8, layers="all", learning_rate=1e-2, warmup=0.0)
FOUR = SETTINGS.model_copy(update={"quantize": "nf4"})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model; its widths are multiples of NF4's blocks of 64 weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=96,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    folder = tmp_path_factory.mktemp("four")
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def quantised(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    return {n: m for n, m in model.named_modules() if type(m).__name__ == "Linear4bit"}


@pytest.mark.parametrize("targets", [[], ["q_proj"]], ids=["all", "q_proj"])
def test_qlora_is_lora_on_the_dequantised_base(base: Path, targets: list[str]) -> None:
    """Losses and gradient norms, also where gradients pass through 4-bit layers without adapters."""
    four = load_model(base, device="cpu", quantize="nf4")
    plain = load_model(base, device="cpu")
    layers = quantised(four)
    assert len(layers) == 3 * 7
    with torch.no_grad():
        for name, layer in layers.items():
            weight = plain.get_submodule(name).weight
            told = dequantise_weight(layer)
            assert 0 < float((weight - told).abs().max()) < 0.02  # weights are about 0.02 large
            weight.copy_(told)
    change = {"targets": targets}
    left = Engine(four, FOUR.model_copy(update=change), total_steps=9, seed=3)
    right = Engine(plain, SETTINGS.model_copy(update=change), total_steps=9, seed=3)
    assert left.decoder.flat
    for _ in range(4):
        ours, theirs = left.step(rows()), right.step(rows())
        assert ours.loss == pytest.approx(theirs.loss, abs=1e-5)
        assert ours.grad_norm == pytest.approx(theirs.grad_norm, rel=1e-3)
        assert ours.grad_norm > 0
    for layer in quantised(four).values():
        assert layer.weight.dtype is torch.uint8


def test_a_qlora_run_learns_and_its_adapter_fits_the_full_base(base: Path, tmp_path: Path) -> None:
    data = [TokenRow(row.example, row.ids, row.mask) for row in rows(16)]
    settings = FOUR.model_copy(update={"epochs": 6.0, "batch_size": 4, "layers": "top-2"})
    result = train(base, data, settings, tmp_path, TrainOptions(seed=1, device="cpu"))
    assert sum(result.losses[-4:]) < sum(result.losses[:4]) - 0.2
    model = load_model(base, result.folder, device="cpu", merge=False)
    assert len(list(lora_modules(model))) == 2 * 7
