"""Mixtures of experts: the experts are adapted as PEFT adapts them, the routers kept in balance."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from residency.config.train import TrainConfig
from residency.interfaces import TokenRow
from residency.model.lora import all_adapters, fold_adapters, measure_reach
from residency.model.lora_experts import LoraExperts
from residency.model.peft_adapter import load_adapter, save_adapter
from residency.train.train_engine import Engine
from tiny_archs import rows
from trl_losses import train_with_trl

SHAPE: dict[str, Any] = {
    "vocab_size": 89, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 96,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen3_moe": (
        "Qwen3Moe",
        {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "head_dim": 8},
    ),
    "mixtral": ("Mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "gpt_oss": (
        "GptOss",
        {"num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 8, "sliding_window": 16},
    ),
    "qwen2_moe": (
        "Qwen2Moe",
        {
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
            "shared_expert_intermediate_size": 40,
        },
    ),
    "olmoe": ("Olmoe", {"num_experts": 4, "num_experts_per_tok": 2}),
    "deepseek_v3": (
        "DeepseekV3",
        {
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
            "n_group": 1,
            "topk_group": 1,
            "first_k_dense_replace": 0,
            "q_lora_rank": 12,
            "kv_lora_rank": 12,
            "qk_nope_head_dim": 8,
            "qk_rope_head_dim": 4,
            "v_head_dim": 8,
            "num_key_value_heads": 4,
        },
    ),
}
BALANCED = {"qwen3_moe", "mixtral", "gpt_oss", "qwen2_moe", "olmoe"}
"""Whose loss has a balancing part in transformers; DeepSeek-V3 balances by biases instead."""
SETTINGS = TrainConfig(rank=2, alpha=4, layers="all", learning_rate=1e-2, warmup=0.0, clip=1e9)


def make_model(name: str) -> Any:
    torch.set_num_threads(1)
    kind, more = KINDS[name]
    config = getattr(transformers, f"{kind}Config")(**{**SHAPE, **more})
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)
    return model.eval()


def stir(model: Any) -> None:
    """Make every B random, so that no update is zero."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    for _, layer in all_adapters(model):
        layer.mark_changed()


def reference_loss(model: Any, batch: list[TokenRow]) -> torch.Tensor:
    """As a plain trainer computes it: a padded batch, mean over trained tokens, and balance."""
    longest = max(len(row.ids) for row in batch)
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for n, row in enumerate(batch):
        ids[n, : len(row.ids)] = torch.tensor(row.ids)
        mask[n, : len(row.ids)] = 1
        trained = torch.tensor(row.mask)
        labels[n, : len(row.ids)][trained] = torch.tensor(row.ids)[trained]
    balance = (
        {"output_router_logits": True} if getattr(model.config, "router_aux_loss_coef", 0) else {}
    )
    out = model(input_ids=ids, attention_mask=mask, labels=labels, **balance)
    loss: torch.Tensor = out.loss
    return loss


def flat_rows() -> list[TokenRow]:
    return [TokenRow(row.example, row.ids, row.mask) for row in rows()]


@pytest.mark.parametrize("name", KINDS)
def test_pain_36_losses_and_gradients_equal_pefts(name: str, tmp_path: Path) -> None:
    from peft import PeftModel

    engine = Engine(make_model(name), SETTINGS, total_steps=10, seed=3)
    stir(engine.model)
    save_adapter(engine.model, tmp_path, SETTINGS, "base")
    peer = PeftModel.from_pretrained(make_model(name), tmp_path, is_trainable=True)
    want = reference_loss(peer, flat_rows())
    want.backward()
    total = float(sum(sum(row.mask[1:]) for row in flat_rows()))
    loss, _, _ = engine._add_gradients(flat_rows(), total)
    assert math.isclose(loss, float(want.detach()), abs_tol=1e-5)
    said = [note for note in engine.notes if "balancing loss is added" in note]
    assert bool(said) == (name in BALANCED)
    theirs = {n.replace(".default", ""): p for n, p in peer.named_parameters() if p.requires_grad}
    checked = 0
    for path, layer in all_adapters(engine.model):
        if isinstance(layer, LoraExperts):
            for _, ours, named in layer.tensors():
                other = theirs[f"base_model.model.{path}.{named}"]
                gradient = layer.get_parameter(ours).grad
                assert gradient is not None
                assert torch.allclose(gradient, other.grad, atol=2e-5), (path, ours)
                checked += 1
    assert checked == 2 * 2 * 2


@pytest.mark.parametrize("name", KINDS)
def test_pain_36_an_adapter_of_experts_is_read_back_and_folded(name: str, tmp_path: Path) -> None:
    engine = Engine(make_model(name), SETTINGS, total_steps=10, seed=3)
    stir(engine.model)
    save_adapter(engine.model, tmp_path, SETTINGS, "base")
    ids = torch.tensor([rows()[0].ids])
    with torch.no_grad():
        want = engine.model.eval()(ids).logits
        model = make_model(name)
        bare = model(ids).logits
        load_adapter(model, tmp_path)
        assert torch.allclose(model(ids).logits, want, atol=1e-5)
        fold_adapters(model)
        assert not list(all_adapters(model))
        assert torch.allclose(model(ids).logits, want, atol=1e-5)
        assert not torch.allclose(bare, want, atol=1e-2)


@pytest.mark.parametrize("name", KINDS)
def test_most_of_a_mixture_is_reached_and_that_is_said(name: str) -> None:
    engine = Engine(make_model(name), SETTINGS, total_steps=10)
    reach = measure_reach(engine.model)
    inner = sum(p.numel() for _, p in make_model(name).get_decoder().layers.named_parameters())
    assert reach > 0.95 * inner / sum(p.numel() for p in make_model(name).parameters())
    assert f"adapters reach {100 * reach:.1f} % of the weights" in engine.notes


def test_pain_36_what_share_of_the_weights_is_adapted_is_said() -> None:
    engine = Engine(make_model("qwen3_moe"), SETTINGS, total_steps=10)
    reach = measure_reach(engine.model)
    assert 0.7 < reach < 1
    assert f"adapters reach {100 * reach:.1f} % of the weights" in engine.notes
    attention_only = SETTINGS.model_copy(update={"targets": ["q_proj"]})
    few = Engine(make_model("qwen3_moe"), attention_only, total_steps=10)
    assert not any(isinstance(layer, LoraExperts) for _, layer in all_adapters(few.model))
    assert measure_reach(few.model) < 0.1
    named = SETTINGS.model_copy(update={"targets": ["down_proj"]})
    only = Engine(make_model("qwen3_moe"), named, total_steps=10)
    assert {
        n for _, a in all_adapters(only.model) if isinstance(a, LoraExperts) for n in a.names
    } == {"down_proj"}


def test_the_balancing_loss_does_not_depend_on_how_a_step_is_cut_or_padded() -> None:
    total = float(sum(sum(row.mask[1:]) for row in flat_rows()))
    losses = {}
    for packing in ("auto", "off"):
        settings = SETTINGS.model_copy(update={"packing": packing})
        engine = Engine(make_model("qwen3_moe"), settings, total_steps=10, seed=3)
        losses[packing] = engine._add_gradients(flat_rows(), total)[0]
    assert math.isclose(losses["auto"], losses["off"], abs_tol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["qwen3_moe", "mixtral"])
def test_forty_steps_of_a_mixture_equal_trl(name: str, tmp_path: Path) -> None:
    """TRL's SFTTrainer with PEFT on the experts too, router loss included, the same rows in order."""
    import random

    from peft import PeftModel

    settings = SETTINGS.model_copy(
        update={"schedule": "constant", "learning_rate": 2e-3, "clip": 1.0}
    )
    engine = Engine(make_model(name), settings, total_steps=40, seed=3)
    save_adapter(engine.model, tmp_path / "adapter", settings, "base")
    plain = make_model(name)
    plain.config.output_router_logits = True
    reference = PeftModel.from_pretrained(plain, str(tmp_path / "adapter"), is_trainable=True)
    data, rng = flat_rows(), random.Random(0)
    batches = [[rng.choice(data) for _ in range(4)] for _ in range(40)]
    losses = train_with_trl(reference, batches, 2e-3, tmp_path / "trl")
    ours = [engine.step(batch).loss for batch in batches]
    assert len(losses) == 40
    assert max(abs(a - b) for a, b in zip(ours, losses, strict=True)) <= 2e-4
    assert losses[-1] < 0.9 * losses[0]
