"""Products in bf16 on a CPU: near fp32, in forward and backward alike, and nothing outside of them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from residency.model.head import token_nll
from residency.model.kernels import apply_linear, narrow_products, use_fast_products
from residency.model.lora_linear import LoraLinear
from residency.model.product_choice import bf16_available

pytestmark = pytest.mark.skipif(
    not bf16_available(), reason="this processor has no instructions for bf16 products"
)
TOLERANCE = 2**-6
"""Of the largest value: two factors and a result are rounded to 8 bits each."""


def is_near(narrow: torch.Tensor, wide: torch.Tensor) -> bool:
    error = float((narrow - wide).detach().abs().max())
    return 0 < error <= TOLERANCE * float(wide.detach().abs().max())


@pytest.fixture
def x() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(3, 7, 32, requires_grad=True)


@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_is_near_fp32_also_where_the_backward_runs_outside(
    x: torch.Tensor, bias: bool
) -> None:
    layer = nn.Sequential(nn.Linear(32, 24, bias=bias))
    use_fast_products(layer)
    wide = layer(x)
    wide.square().sum().backward()
    want = [x.grad, *(p.grad for p in layer.parameters())]
    x.grad = None
    layer.zero_grad()
    with narrow_products():
        narrow = layer(x)
    assert narrow.dtype is torch.float32 and narrow.shape == wide.shape and is_near(narrow, wide)
    narrow.square().sum().backward()
    for have, wanted in zip([x.grad, *(p.grad for p in layer.parameters())], want, strict=True):
        assert have is not None and wanted is not None and have.dtype is torch.float32
        assert is_near(have, wanted)
    assert torch.equal(layer(x), wide)  # outside, everything is as before


@pytest.mark.parametrize("dora", [False, True])
def test_an_adapted_layer_is_near_fp32(x: torch.Tensor, dora: bool) -> None:
    base = nn.Linear(32, 24).requires_grad_(False)
    layer = LoraLinear(base, 4, 2.0, dora=dora)
    nn.init.normal_(layer.lora_B)
    other = copy.deepcopy(layer)
    wide = layer(x)
    wide.square().sum().backward()
    grad, x.grad = x.grad, None
    with narrow_products():
        narrow = other(x)
    narrow.square().sum().backward()
    assert is_near(narrow, wide) and grad is not None and x.grad is not None
    assert is_near(x.grad, grad)
    for have, wanted in zip(other.parameters(), layer.parameters(), strict=True):
        if wanted.grad is not None:
            assert have.grad is not None and is_near(have.grad, wanted.grad)
    with torch.no_grad(), narrow_products():
        assert torch.equal(other(x), narrow)


def test_a_loss_is_read_from_fp32_logits_and_its_gradient_is_near() -> None:
    torch.manual_seed(2)
    states = torch.randn(9, 32, requires_grad=True)
    head, labels = torch.randn(50, 32), torch.arange(9)
    wide = token_nll(states, head, None, labels)
    wide.sum().backward()
    grad, states.grad = states.grad, None
    with narrow_products():
        narrow = token_nll(states, head, None, labels)
    assert torch.equal(narrow, wide)
    narrow.sum().backward()
    assert grad is not None and states.grad is not None and is_near(states.grad, grad)


def test_no_rows_give_no_rows() -> None:
    with narrow_products():
        assert apply_linear(torch.zeros(0, 4), torch.ones(3, 4)).shape == (0, 3)
