"""LoRA on the experts of a mixture, whose weights lie stacked in one parameter.

transformers keeps the experts of a layer as parameters [experts, outputs, inputs] of one module,
not as linear layers. PEFT adapts such parameters with ``target_parameters``; the layout here is
PEFT's (0.21, ``ParamWrapper``): A [experts·r, inputs], expert by expert; B [outputs, r·experts],
rank by rank. The weight of expert e is W[e] + scale · B[:, :, e] · A[e].
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class LoraExperts(nn.Module):
    """Experts with an update to some of their stacked weights.

    Args:
        base: the module whose parameters they are; frozen by the caller. names: of the parameters.
        rank: r of each expert. scale: factor of the update.
    """

    def __init__(self, base: nn.Module, names: Sequence[str], rank: int, scale: float) -> None:
        super().__init__()
        self.base, self.names, self.scale, self.enabled = base, tuple(names), scale, True
        self.turned = bool(getattr(base, "is_transposed", False))
        """Whether the weights are stored [experts, inputs, outputs]."""
        self.lora_A, self.lora_B = nn.ParameterDict(), nn.ParameterDict()
        for name in self.names:
            weight = base.get_parameter(name)
            experts, outputs, inputs = weight.shape
            if self.turned:
                outputs, inputs = inputs, outputs
            a = torch.empty(rank * experts, inputs, device=weight.device)
            nn.init.kaiming_uniform_(a, a=math.sqrt(5))
            self.lora_A[name] = nn.Parameter(a)
            zeros = torch.zeros(outputs, rank * experts, device=weight.device)
            self.lora_B[name] = nn.Parameter(zeros)

    def __getattr__(self, name: str) -> Any:
        """What the model's code reads of its experts."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("base"), name)

    def merged_weight(self, name: str) -> Tensor:
        """The weight with the update in it, in its stored shape; differentiable in A and B."""
        weight = self.base.get_parameter(name)
        experts = weight.shape[0]
        a, b = self.lora_A[name], self.lora_B[name]
        a = a.reshape(experts, -1, a.shape[-1])
        b = b.reshape(b.shape[0], -1, experts).permute(2, 0, 1)
        left_factor, right_factor = (
            (a.transpose(1, 2), b.transpose(1, 2)) if self.turned else (b, a)
        )
        left_factor, right_factor = left_factor.to(weight.dtype), right_factor.to(weight.dtype)
        return torch.baddbmm(weight, left_factor, right_factor, alpha=self.scale)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As the experts' forward, with the updated weights."""
        if not self.enabled:
            return self.base(*args, **kwargs)
        merged = {name: self.merged_weight(name) for name in self.names}
        return torch.func.functional_call(self.base, merged, args, kwargs)

    def keep_apart(self) -> None:
        """Nothing to do: there is no merged copy."""

    def mark_changed(self) -> None:
        """Nothing to do: weights are merged anew at each forward."""

    @torch.no_grad()
    def fold(self) -> nn.Module:
        """The experts with the update written into their weights."""
        for name in self.names:
            self.base.get_parameter(name).copy_(self.merged_weight(name))
        return self.base

    def tensors(self) -> Iterator[tuple[str, str, str]]:
        """(parameter, our name, name in PEFT's file) of each tensor, below this module.

        PEFT nests one wrapper a parameter: the first is the innermost.
        """
        for depth, name in enumerate(reversed(self.names)):
            inner = "base_layer." * depth
            for kind in ("lora_A", "lora_B"):
                yield name, f"{kind}.{name}", f"{inner}{kind}.weight"


def find_expert_weights(layer: nn.Module, experts: int) -> dict[str, list[str]]:
    """Modules within a decoder layer whose parameters are stacked experts: path → parameters."""
    stacked: dict[str, list[str]] = {}
    if experts < 2:
        return stacked
    for path, module in layer.named_modules():
        if type(module).__module__.startswith("torch.nn"):
            continue
        sizes = {
            name: weight.shape[0]
            for name, weight in module.named_parameters(recurse=False)
            if weight.ndim == 3 and weight.is_floating_point()
        }
        # Beside one stack of them another may hold more (LongCat's experts that do nothing).
        if experts in sizes.values() and path:
            stacked[path] = list(sizes)
    return stacked


_RENAMED = {"gate", "w1", "w2", "w3", "gate_proj", "up_proj", "down_proj"}
"""Names that PEFT takes, in a mixture's ``target_modules``, for the single experts of older files, and
turns into the stacked ones with twice the rank: a shared expert's or dense layer's update would be lost."""


def list_by_weight(model: Any, paths: Sequence[str]) -> list[str]:
    """Of these linear modules those whose weight PEFT must be given by name, as a parameter."""
    if not count_experts(model):
        return []
    return [path for path in paths if path.rsplit(".", 1)[-1] in _RENAMED]


def count_experts(model: Any) -> int:
    """Experts a layer as the configuration says; 0 for a model that is no mixture."""
    config = model.config.get_text_config()
    for name in ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"):
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            return value
    return 0
