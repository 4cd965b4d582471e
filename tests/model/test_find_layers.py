"""Which modules an adapter can sit on: those whose forward runs, and computes x·Wᵀ + b."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

from residency.config.train import TrainConfig
from residency.model.find_layers import is_linear, target_modules
from residency.model.kernels import OneDnnLinear, apply_linear, linear_nt
from residency.model.lora import attach_adapters
from residency.model.lora_linear import lora_modules

SHAPE: dict[str, Any] = {
    "vocab_size": 89,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


class Grouped(nn.Linear):
    """Not x·Wᵀ: each half of the input has weights of its own."""

    def forward(self, x: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        return x[..., :half] @ self.weight.t()[:half]


class Pair(nn.Linear):
    def forward(self, x: Tensor) -> Any:
        return x, x


class Spelled(nn.Linear):
    """x·Wᵀ + b in other words."""

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.T + self.bias


def test_only_what_computes_a_linear_layer_is_one() -> None:
    assert is_linear(nn.Linear(8, 4)) and is_linear(OneDnnLinear(8, 4)) and is_linear(Spelled(8, 4))
    assert not is_linear(Grouped(8, 4)) and not is_linear(Pair(8, 4))
    assert not is_linear(nn.Embedding(8, 4)) and not is_linear(nn.LayerNorm(8))


@pytest.mark.parametrize("kind", ["Mamba", "FalconMamba"])
def test_weights_that_fused_kernels_read_by_themselves_are_not_adapted(kind: str) -> None:
    config = getattr(transformers, f"{kind}Config")(**SHAPE, state_size=4, expand=2)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    names = {path.rsplit(".", 1)[-1] for path in target_modules(model, "all", [])}
    assert names == {"in_proj"}
    before = model(torch.tensor([[3, 4, 5]])).logits
    attach_adapters(model, TrainConfig(rank=2), seed=0)
    layers = [layer for _, layer in lora_modules(model)]
    assert torch.allclose(model(torch.tensor([[3, 4, 5]])).logits, before, atol=1e-5)
    for layer in layers:  # what the architectures' own code reads of a linear layer
        base: Any = layer.base
        assert layer.bias is base.bias
        assert (layer.in_features, layer.out_features) == (base.in_features, base.out_features)


def test_a_product_may_be_changed_in_place_as_some_models_do() -> None:
    x = torch.randn(2, 3, 8, requires_grad=True)
    weight = torch.randn(5, 8)
    y = apply_linear(x, weight)
    y += 1
    y.sum().backward()
    assert x.grad is not None
    plain = linear_nt(torch.randn(2, 3, 8), weight)
    assert plain.shape == (2, 3, 5) and not plain._is_view()
