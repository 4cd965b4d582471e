"""Models whose positions depend on the longest text of a batch: no example depends on another."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import transformers

from residency.config.train import TrainConfig
from residency.interfaces import TokenRow
from residency.train.flat_batch import split_by_tokens
from residency.train.train_engine import Engine
from tiny_archs import plain_nll

PRETRAINED = 24


def make_model(kind: str) -> Any:
    shape = {
        "vocab_size": 89, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": 2,
        "pad_token_id": 0,
    }  # fmt: skip
    if kind == "longrope":
        rope = {
            "rope_type": "longrope", "rope_theta": 10000.0,
            "short_factor": [1.0] * 4, "long_factor": [1.0, 2.0, 4.0, 8.0],
            "original_max_position_embeddings": PRETRAINED,
        }  # fmt: skip
        config = transformers.Phi3Config(
            **shape, max_position_embeddings=96, rope_parameters=rope,
            original_max_position_embeddings=PRETRAINED,
        )  # fmt: skip
    else:
        rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
        config = transformers.LlamaConfig(
            **shape, max_position_embeddings=PRETRAINED, rope_parameters=rope
        )
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)
    return model.eval()


def mixed_rows() -> list[TokenRow]:
    generator = torch.Generator().manual_seed(3)
    out = []
    for number, length in enumerate((9, 40, 14, 31, 24, 25, 40)):
        ids = tuple(torch.randint(3, 89, (length,), generator=generator).tolist())
        out.append(TokenRow(f"r{number}", ids, (False,) * 4 + (True,) * (length - 4)))
    return out


@pytest.mark.parametrize("packing", ["auto", "off"])
@pytest.mark.parametrize("kind", ["longrope", "dynamic"])
def test_losses_of_mixed_lengths_are_those_of_each_example_alone(kind: str, packing: str) -> None:
    torch.set_num_threads(1)
    settings = TrainConfig(method="full", layers="all", packing=packing, micro_tokens=400)
    rows = mixed_rows()
    with torch.no_grad():
        # A fresh model a row: transformers' dynamic frequencies remember the longest text.
        want = sum(float(plain_nll(make_model(kind), row).sum()) for row in rows)
    total = float(sum(sum(row.mask) for row in rows))
    engine = Engine(make_model(kind), settings, total_steps=3, longest=40)
    loss, _, _ = engine._add_gradients(rows, total)
    assert math.isclose(loss, want / total, rel_tol=1e-5)
    # A longer text before it changes nothing.
    engine._add_gradients(rows[1:2], 1.0)
    again, _, _ = engine._add_gradients(rows, total)
    assert math.isclose(again, want / total, rel_tol=1e-5)


def test_a_batch_holds_one_class_and_keeps_every_row() -> None:
    rows = mixed_rows()
    parts = list(split_by_tokens(rows, 80, lambda length: int(length > PRETRAINED)))
    for part in parts:
        assert len({len(row.ids) > PRETRAINED for row in part}) == 1
        assert len(part) == 1 or sum(len(row.ids) for row in part) <= 80
    assert sorted(row.example for part in parts for row in part) == sorted(r.example for r in rows)
