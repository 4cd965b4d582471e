"""The engine's gradients and steps against PEFT, plain PyTorch and TRL."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from residency.config.train import TrainConfig
from residency.errors import ConfigError
from residency.interfaces import TokenRow
from residency.model.lora import fold_adapters
from residency.model.lora_linear import lora_modules
from residency.model.peft_adapter import adapter_state, load_adapter, save_adapter
from residency.train.schedule import learning_rate
from residency.train.train_engine import Engine
from tiny_archs import plain_nll, rows, tiny
from trl_losses import train_with_trl

SETTINGS = TrainConfig(rank=4, alpha=8, layers="all", learning_rate=1e-2, warmup=0.0, clip=1e9)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def engine(name: str = "llama", **changes: Any) -> Engine:
    return Engine(tiny(name), SETTINGS.model_copy(update=changes), total_steps=50, seed=3)


def total() -> float:
    return sum(row.weight * sum(row.mask) for row in rows())


def stir(subject: Engine) -> None:
    """Make B random, so that the update is not zero."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in subject.trainable.items():
            if name.endswith("lora_B"):
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
            if name.endswith("magnitude"):
                parameter.mul_(1 + 0.2 * torch.rand(parameter.shape, generator=generator))
    for _, layer in lora_modules(subject.model):
        layer.mark_changed()


def peft_model(subject: Engine, name: str, folder: Path) -> Any:
    """The same model and adapter, in PEFT."""
    from peft import PeftModel

    save_adapter(subject.model, folder, subject.settings, "base")
    model = PeftModel.from_pretrained(tiny(name), folder, is_trainable=True)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def weighted(model: Any, batch: list[TokenRow]) -> torch.Tensor:
    total = sum(row.weight * sum(row.mask) for row in batch)
    loss = sum(row.weight * plain_nll(model, row).sum() for row in batch)
    return loss / total  # type: ignore[no-any-return]


VARIANTS = {
    "lora": {},
    "rslora": {"rslora": True},
    "dora": {"dora": True},
    "top": {"layers": "top-2"},
    "named": {"targets": ["q_proj", "down_proj"]},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_loss_and_gradients_equal_pefts(variant: str, tmp_path: Path) -> None:
    subject = engine(**VARIANTS[variant])
    stir(subject)
    reference = peft_model(subject, "llama", tmp_path)
    want = weighted(reference, rows())
    want.backward()
    loss, _, _ = subject._add_gradients(rows(), total())
    assert math.isclose(loss, float(want.detach()), abs_tol=1e-5)
    checked = 0
    for path, layer in lora_modules(subject.model):
        theirs = reference.base_model.model.get_submodule(path)
        pairs = [
            (layer.lora_A, theirs.lora_A["default"].weight),
            (layer.lora_B, theirs.lora_B["default"].weight),
        ]
        if layer.magnitude is not None:
            pairs.append((layer.magnitude, theirs.lora_magnitude_vector["default"].weight))
        for ours, other in pairs:
            assert ours.grad is not None
            assert torch.allclose(ours.grad, other.grad, atol=1e-5)
            checked += 1
    assert checked == sum(p.requires_grad for p in reference.parameters())


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "gemma", "mistral", "qwen3"])
def test_adapters_of_every_architecture_equal_pefts(name: str, tmp_path: Path) -> None:
    subject = engine(name)
    stir(subject)
    reference = peft_model(subject, name, tmp_path)
    loss, _, _ = subject._add_gradients(rows(), total())
    with torch.no_grad():
        assert math.isclose(loss, float(weighted(reference, rows())), abs_tol=1e-5)


@pytest.mark.parametrize("kind", ["pattern", "gaussian-rslora"])
def test_pefts_own_adapters_load(kind: str, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(5)
    config = LoraConfig(
        r=4,
        lora_alpha=6,
        target_modules=["q_proj", "up_proj"],
        rank_pattern={"up_proj": 2} if kind == "pattern" else {},
        alpha_pattern={"up_proj": 5} if kind == "pattern" else {},
        use_rslora=kind != "pattern",
        init_lora_weights=False,
        task_type="CAUSAL_LM",
    )
    reference = get_peft_model(tiny("llama"), config)
    reference.save_pretrained(tmp_path)
    model = tiny("llama")
    load_adapter(model, tmp_path)
    ids = torch.tensor([rows()[0].ids])
    with torch.no_grad():
        want = reference(ids).logits
        assert torch.allclose(model(ids).logits, want, atol=1e-5)
        fold_adapters(model)
        assert torch.allclose(model(ids).logits, want, atol=1e-5)
    assert not list(lora_modules(model))


def test_dropout_acts_on_the_adapters_input_alone(tmp_path: Path) -> None:
    subject = engine(dropout=0.5)
    stir(subject)
    subject.model.train()
    batch = rows()
    assert subject._add_gradients(batch, total())[0] != subject._add_gradients(batch, total())[0]
    with subject.evaluation_mode():
        assert subject.mean_loss(batch) == subject.mean_loss(batch)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_pain_14_accumulation_changes_nothing(method: str) -> None:
    whole, parts = engine(method=method), engine(method=method, micro_tokens=30)
    for _ in range(3):
        left, right = whole.step(rows()), parts.step(rows())
        assert math.isclose(left.loss, right.loss, abs_tol=1e-5)
        assert (left.trained, left.tokens) == (right.trained, right.tokens)
        assert math.isclose(left.grad_norm, right.grad_norm, rel_tol=1e-4)


def test_activation_checkpointing_changes_nothing() -> None:
    plain, again = engine(), engine(activation_checkpointing=True)
    for _ in range(3):
        assert math.isclose(plain.step(rows()).loss, again.step(rows()).loss, abs_tol=1e-6)


def test_padding_gives_the_losses_of_packing() -> None:
    packed, padded = engine(), engine(packing="off")
    assert packed.decoder.flat and not padded.decoder.flat
    for _ in range(3):
        assert math.isclose(packed.step(rows()).loss, padded.step(rows()).loss, abs_tol=1e-5)


def test_a_full_step_equals_plain_adamw_with_clipping() -> None:
    settings = {"method": "full", "clip": 0.5, "weight_decay": 0.1, "schedule": "constant"}
    subject = engine(**settings)
    model = tiny("llama")
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        lr=1e-2,
    )
    for _ in range(4):
        loss = weighted(model, rows())
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
        result = subject.step(rows())
        assert math.isclose(result.loss, float(loss.detach()), abs_tol=2e-5)
        assert math.isclose(result.grad_norm, float(norm), rel_tol=1e-3)


def test_lora_plus_gives_b_a_higher_rate() -> None:
    subject = engine(lora_plus=16)
    rates = {
        name.rsplit(".", 1)[-1]: group["factor"]
        for group in subject.optimizer.param_groups
        for name, parameter in subject.trainable.items()
        if any(parameter is p for p in group["params"])
    }
    assert rates == {"lora_A": 1.0, "lora_B": 16.0}
    subject.step(rows())
    assert {g["lr"] / g["factor"] for g in subject.optimizer.param_groups} == {1e-2}


def preference_rows() -> list[TokenRow]:
    pairs = []
    for chosen, rejected in zip(rows(6), rows(6, seed=1), strict=True):
        start = chosen.mask.index(True)
        answer = rejected.ids[rejected.mask.index(True) :]
        ids = chosen.ids[:start] + answer
        mask = (False,) * start + (True,) * len(answer)
        pairs.append(TokenRow(chosen.example, chosen.ids, chosen.mask, 1.0, ids, mask))
    return pairs


def test_dpo_equals_its_formula(tmp_path: Path) -> None:
    subject = engine(objective="dpo", beta=0.3)
    stir(subject)
    reference = peft_model(subject, "llama", tmp_path)
    losses = []
    for row in preference_rows():
        other = TokenRow(row.example, row.rejected_ids, row.rejected_mask)
        with torch.no_grad(), reference.disable_adapter():
            base = [-plain_nll(reference, side).sum() for side in (row, other)]
        policy = [-plain_nll(reference, side).sum() for side in (row, other)]
        margin = (policy[0] - base[0]) - (policy[1] - base[1])
        losses.append(-torch.nn.functional.logsigmoid(0.3 * margin))
    want = torch.stack(losses).mean()
    want.backward()
    result = subject.step(preference_rows())
    norm = torch.stack([p.grad.norm() for p in reference.parameters() if p.requires_grad]).norm()
    assert math.isclose(result.loss, float(want.detach()), abs_tol=1e-5)
    assert math.isclose(result.grad_norm, float(norm), rel_tol=1e-4)


def test_dpo_prefers_the_chosen_answer_and_splits_exactly() -> None:
    whole, parts = engine(objective="dpo"), engine(objective="dpo", micro_tokens=60)
    first = whole.step(preference_rows()).loss
    assert math.isclose(first, parts.step(preference_rows()).loss, abs_tol=1e-6)
    assert math.isclose(first, math.log(2), abs_tol=1e-6)
    for _ in range(15):
        last = whole.step(preference_rows()).loss
    assert last < 0.5 * first


def test_dpo_without_adapters_is_refused() -> None:
    with pytest.raises(ConfigError, match="reference is the model with the adapter switched off"):
        engine(objective="dpo", method="full").step(preference_rows())


def test_schedules_rise_and_fall() -> None:
    settings = SETTINGS.model_copy(update={"warmup": 0.1, "learning_rate": 1.0})
    cosine = [learning_rate(settings, step, 100) for step in range(100)]
    assert cosine[:10] == pytest.approx([0.1 * (n + 1) for n in range(10)])
    assert max(cosine) == 1.0 and 0 < cosine[-1] < 1e-3
    linear = settings.model_copy(update={"schedule": "linear"})
    assert learning_rate(linear, 55, 100) == pytest.approx(0.5)
    constant = settings.model_copy(update={"schedule": "constant"})
    assert learning_rate(constant, 99, 100) == 1.0


def test_unknown_targets_and_layers_are_named() -> None:
    with pytest.raises(ConfigError, match="no linear layer is called 'query'"):
        engine(targets=["query"])
    with pytest.raises(ConfigError, match="top-N"):
        engine(layers="last-3")


def test_adapter_state_has_pefts_names() -> None:
    names = adapter_state(engine(targets=["q_proj"], layers="top-1").model)
    assert set(names) == {
        f"base_model.model.model.layers.2.self_attn.q_proj.lora_{x}.weight" for x in "AB"
    }


@pytest.mark.slow
def test_200_steps_equal_trl(tmp_path: Path) -> None:
    """TRL's SFTTrainer with PEFT, the same rows in the same order, fp32, constant rate."""
    import random

    subject = engine(schedule="constant", learning_rate=2e-3, clip=1.0)
    random.seed(0)
    data = [TokenRow(r.example, r.ids, r.mask) for r in rows(64, seed=9)]
    order = [[random.randrange(64) for _ in range(4)] for _ in range(200)]
    reference = peft_model(subject, "llama", tmp_path / "adapter")
    batches = [[data[i] for i in batch] for batch in order]
    losses = train_with_trl(reference, batches, 2e-3, tmp_path / "trl")
    ours = [subject.step(batch).loss for batch in batches]
    assert len(losses) == 200
    worst = max(abs(a - b) for a, b in zip(ours, losses, strict=True))
    assert worst <= 1e-4, worst
