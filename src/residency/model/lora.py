"""Put fresh LoRA adapters on a model, fold trained ones into its weights, or take them off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from residency.config.train import TrainConfig
from residency.errors import ConfigError
from residency.model.find_layers import first_trained_layer, layer_stack, target_modules
from residency.model.lora_experts import (
    LoraExperts,
    count_experts,
    find_expert_weights,
    list_by_weight,
)
from residency.model.lora_linear import LoraLinear, replace_module, update_scale

Adapter = LoraLinear | LoraExperts


def attach_adapters(model: Any, settings: TrainConfig, *, seed: int) -> list[str]:
    """Freeze the model and put fresh adapters on it, in place. Returns the adapted paths.

    Linear layers, and the stacked experts of mixtures. A is drawn as PEFT draws it (Kaiming
    uniform, a = √5), B is zero: the model's outputs do not change.

    Raises:
        ConfigError: no module matches.
    """
    model.requires_grad_(False)
    experts = _find_experts(model, settings)
    linear = _find_linear(model, settings, bool(experts))
    scale = update_scale(settings.alpha, settings.rank, settings.rslora)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for path in linear:
            base = model.get_submodule(path)
            layer = LoraLinear(
                base, settings.rank, scale, dora=settings.dora, dropout=settings.dropout
            )
            replace_module(model, path, layer)
        for path, names in experts.items():
            stacked = LoraExperts(model.get_submodule(path), names, settings.rank, scale)
            replace_module(model, path, stacked)
    return [*linear, *(f"{path}.{name}" for path, names in experts.items() for name in names)]


def _find_experts(model: Any, settings: TrainConfig) -> dict[str, list[str]]:
    """Stacked experts of the trained layers: path → parameters. DoRA and dropout have no form there."""
    if settings.dora or settings.dropout:
        return {}
    stack, number = layer_stack(model), count_experts(model)
    start = first_trained_layer(settings.layers, len(stack.layers))
    out: dict[str, list[str]] = {}
    for index, layer in enumerate(stack.layers):
        if index < start:
            continue
        for path, names in find_expert_weights(layer, number).items():
            wanted = [n for n in names if not settings.targets or n in settings.targets]
            if wanted:
                out[f"{stack.path}.{index}.{path}"] = wanted
    return out


def _find_linear(model: Any, settings: TrainConfig, has_experts: bool) -> list[str]:
    targets = list(settings.targets)
    if has_experts and targets:  # names of stacked weights are no linear layers' names
        stack, number = layer_stack(model), count_experts(model)
        stacked = {
            name
            for layer in stack.layers
            for names in find_expert_weights(layer, number).values()
            for name in names
        }
        linear_names = {
            path.rsplit(".", 1)[-1] for path in target_modules(model, settings.layers, [])
        }
        targets = [t for t in targets if t not in stacked or t in linear_names]
        if not targets:
            return []
    try:
        paths = target_modules(model, settings.layers, targets)
        if settings.dora or settings.dropout:  # PEFT has neither for weights given by name
            named = set(list_by_weight(model, paths))
            paths = [path for path in paths if path not in named] or paths
        return paths
    except ConfigError:
        if has_experts and not targets:
            return []
        raise


def all_adapters(model: Any) -> Iterator[tuple[str, Adapter]]:
    """Every adapted layer, experts included, with its path in the model, in order."""
    for path, module in model.named_modules():
        if isinstance(module, LoraLinear | LoraExperts):
            yield path, module


@torch.no_grad()
def merged_weights(model: Any) -> Iterator[tuple[str, Tensor]]:
    """(the parameter's name without adapters, its weight with the update in it) of all adapters."""
    for path, layer in all_adapters(model):
        if isinstance(layer, LoraExperts):
            for name in layer.names:
                yield f"{path}.{name}", layer.merged_weight(name)
        else:
            merged = layer.merged_weight()
            yield f"{path}.weight", merged.t() if layer.transposed else merged


def remove_adapters(model: Any) -> None:
    """Take the adapter modules away, in place; the base's weights are as they were."""
    for path, layer in list(all_adapters(model)):
        replace_module(model, path, layer.base)


@torch.no_grad()
def fold_adapters(model: Any) -> None:
    """Write every adapter into its base weight and take the adapter modules away, in place."""
    for path, layer in list(all_adapters(model)):
        if isinstance(layer, LoraExperts):
            replace_module(model, path, layer.fold())
            continue
        merged = layer.merged_weight()
        weight: Tensor = layer.base.weight  # type: ignore[assignment]
        weight.copy_(merged.t() if layer.transposed else merged)
        replace_module(model, path, layer.base)


def measure_reach(model: Any) -> float:
    """Share of the base's weights, 0 to 1, that lie in adapted layers."""
    adapted: set[int] = set()
    adapter_ids: set[int] = set()
    for _, layer in all_adapters(model):
        if isinstance(layer, LoraExperts):
            adapted |= {id(layer.base.get_parameter(name)) for name in layer.names}
            adapter_ids |= {id(p) for p in [*layer.lora_A.values(), *layer.lora_B.values()]}
        else:
            adapted.add(id(layer.weight))
            tensors = (layer.lora_A, layer.lora_B, layer.magnitude)
            adapter_ids |= {id(p) for p in tensors if p is not None}
    reached = total = 0
    for parameter in model.parameters():
        if id(parameter) not in adapter_ids:
            total += parameter.numel()
            reached += parameter.numel() if id(parameter) in adapted else 0
    return reached / max(1, total)
