"""Find the parts of a Hugging Face causal language model by what they are, not by name."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from residency.config.value_types import Layers
from residency.errors import ConfigError, ModelError

_SKIPPED = re.compile(r"(^|\.)(router|gate|lm_head|embed\w*)$")
"""Linear modules that are never adapted unless named: routers of mixtures, heads, embeddings."""


@dataclass(frozen=True)
class Stack:
    """The decoder's list of layers: where it hangs and how it is called."""

    parent: nn.Module
    attribute: str
    path: str

    @property
    def layers(self) -> nn.ModuleList:
        """The layers, first to last."""
        stacks = getattr(self.parent, self.attribute)
        assert isinstance(stacks, nn.ModuleList)
        return stacks


def layer_stack(model: Any) -> Stack:
    """The decoder layers: the ModuleList as long as the configuration says.

    Raises:
        ModelError: there is none, or more than one.
    """
    return find_stack(model, type(model).__name__)


def find_stack(model: Any, where: str) -> Stack:
    """As ``layer_stack``; ``where`` is what the error names.

    A layer with two attentions may count twice in ``num_hidden_layers`` (LongCat-Flash):
    ``num_layers`` is looked for too.
    """
    config = model.config.get_text_config()
    count = getattr(config, "num_hidden_layers", None)
    for length in (count, getattr(config, "num_layers", None)):
        outer = _list_stacks(model, length) if length else []
        if len(outer) == 1:
            return outer[0]
    raise ModelError(
        f"cannot tell which module holds the {count or ''} decoder layers of a "
        f"{type(model).__name__} (found {len(_list_stacks(model, count)) if count else 0})".replace(
            "  ", " "
        ),
        where=where,
        next_step="use a model whose layers run once a token, one after another",
    )


def _list_stacks(model: nn.Module, count: int) -> list[Stack]:
    """The ModuleLists of this length that lie in no other one of it."""
    stacks = []
    for path, module in model.named_modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == count:
                stacks.append(Stack(module, name, f"{path}.{name}" if path else name))
    return [s for s in stacks if not any(s.path.startswith(f"{o.path}.") for o in stacks)]


def first_trained_layer(layers: str, total: int) -> int:
    """Index of the lowest layer that trains, from ``"all"`` or ``"top-N"``.

    Raises:
        ConfigError: the setting is neither.
    """
    try:
        return Layers(layers).find_first(total)
    except ValueError as error:
        raise ConfigError(str(error), where="train.layers") from None


_FUSED = {"out_proj", "dt_proj", "x_proj"}
"""Linear modules of a state-space mixer whose weights its fused kernels read by themselves: a forward
of theirs need not run, and an adapter on them would change nothing."""


def is_bypassed(layer: nn.Module, path: str) -> bool:
    """Whether a module of a decoder layer belongs to a state-space mixer that may go around it."""
    parent, _, name = path.rpartition(".")
    mixer = layer.get_submodule(parent)
    return name in _FUSED and hasattr(mixer, "A_log") and hasattr(mixer, "in_proj")


_acting: dict[type[nn.Module], bool] = {}
"""Which subclasses of ``nn.Linear`` with another forward still compute x·Wᵀ + b."""


def is_linear(module: nn.Module) -> bool:
    """Whether LoRA can wrap it: a linear layer, GPT-2's ``Conv1D``, or a quantised linear layer.

    Some architectures derive other layers from ``nn.Linear`` (grouped or ternary weights): that
    forward is tried.
    """
    kind = type(module)
    if kind.__name__ in {"Conv1D", "Linear4bit"} or kind is nn.Linear:
        return True
    if not isinstance(module, nn.Linear):
        return False
    if kind not in _acting:
        _acting[kind] = _acts_as_linear(module)
    return _acting[kind]


@torch.no_grad()
def _acts_as_linear(module: nn.Linear) -> bool:
    weight = module.weight
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, weight.shape[1], generator=generator).to(weight.device, weight.dtype)
    try:
        output: Any = type(module).forward(module, x)  # not module(x): hooks may be watching
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
        return False
    if not isinstance(output, torch.Tensor):
        return False
    want = nn.functional.linear(x, weight, module.bias)
    close = 1e-4 if weight.dtype is torch.float32 else 5e-2
    return output.shape == want.shape and bool(
        (output.float() - want.float()).abs().max()
        <= close * want.float().abs().max().clamp(min=1e-6)
    )


def _list_shared_weights(stack: Stack) -> set[int]:
    """Identities of the parameters that belong to more than one decoder layer."""
    owners = Counter(id(p) for layer in stack.layers for p in layer.parameters())
    return {identity for identity, count in owners.items() if count > 1}


def target_modules(model: Any, layers: str, targets: list[str]) -> list[str]:
    """Paths of the modules to adapt: every linear layer of the chosen decoder layers.

    Weights that several decoder layers share (Zamba) stay as they are: an update of one layer
    would, once merged, be every layer's.

    Args:
        model: the model. layers: ``"all"`` or ``"top-N"``.
        targets: names to adapt (the last part of the path, as in PEFT); empty means all.

    Raises:
        ConfigError: a name matches nothing; the message lists the names there are.
    """
    stack = layer_stack(model)
    start = first_trained_layer(layers, len(stack.layers))
    shared = _list_shared_weights(stack)
    paths, names = [], set()
    for index, layer in enumerate(stack.layers):
        for path, module in layer.named_modules():
            if not is_linear(module):
                continue
            if is_bypassed(layer, path) or id(module.weight) in shared:
                continue
            name = path.rsplit(".", 1)[-1]
            names.add(name)
            chosen = name in targets if targets else not _SKIPPED.search(path)
            if index >= start and chosen:
                paths.append(f"{stack.path}.{index}.{path}")
    missing = [name for name in targets if name not in names]
    if missing or not paths:
        raise ConfigError(
            f"no linear layer is called {', '.join(map(repr, missing or ['any']))}",
            where="train.targets",
            next_step=f"choose from: {', '.join(sorted(names))}",
        )
    return paths
