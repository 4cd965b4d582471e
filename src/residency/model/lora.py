"""LoRA and its variants, kept in PEFT's own file format.

LoRA (arXiv 2106.09685): W + (α/r)·B·A. rsLoRA (arXiv 2312.03732): α/√r. DoRA
(arXiv 2402.09353): the sum's rows are rescaled to a trained magnitude. On CPU the update is
merged into a copy of the weight once a step, and the gradients of A and B come from the
layer's input and output gradient alone: the same figures as the side branch, fewer products.

Shapes: x [..., I], W [O, I], A [r, I], B [O, r], magnitude [O].
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from residency.config.train import TrainConfig
from residency.errors import ModelError
from residency.files.write_errors import os_errors
from residency.model.find_layers import layer_stack, target_modules
from residency.model.four_bits import dequantised
from residency.model.kernels import linear, linear_nt

_PREFIX = "base_model.model."
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


class _Merged(torch.autograd.Function):
    """y = x·Mᵀ with M the merged weight; gradients of A, B (and the magnitude) from x and g."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        merged: Tensor,
        a: Tensor,
        b: Tensor,
        magnitude: Tensor | None,
        norm: Tensor | None,
        scale: float,
    ) -> Tensor:
        y = linear_nt(x, merged)
        ctx.scale = scale
        ctx.save_for_backward(
            x, merged, a, b, magnitude, norm, y if magnitude is not None else None
        )
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, merged, a, b, magnitude, norm, y = ctx.saved_tensors
        grad_x = linear_nt(grad, merged.t()) if ctx.needs_input_grad[0] else None
        g = grad.reshape(-1, grad.shape[-1])
        flat = x.reshape(-1, x.shape[-1])
        grad_m = None
        if magnitude is not None:
            grad_m = (g * y.reshape(g.shape)).sum(0) / magnitude
            g = g * (magnitude / norm)
        grad_a = linear_nt(linear_nt(g, b.t()).t(), flat.t()).mul_(ctx.scale)
        # Transposed, because oneDNN is four times slower at a tall thin result.
        grad_b = linear_nt(linear_nt(flat, a).t(), g.t()).mul_(ctx.scale).t().contiguous()
        return grad_x, None, grad_a, grad_b, grad_m, None, None


class LoraLinear(nn.Module):
    """A frozen linear layer and its low-rank update.

    Args:
        base: ``nn.Linear``, GPT-2's ``Conv1D`` or a 4-bit linear layer; frozen by the caller.
        rank: r. scale: factor of the update, α/r (rsLoRA: α/√r).
        dora: train a magnitude for each output. dropout: on the update's input.
    """

    def __init__(
        self, base: nn.Module, rank: int, scale: float, *, dora: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.base = base
        self.scale = scale
        self.transposed = type(base).__name__ == "Conv1D"
        self.quantised = type(base).__name__ == "Linear4bit"
        if self.quantised:
            outputs, inputs = int(base.out_features), int(base.in_features)  # type: ignore[arg-type]
        else:
            outputs, inputs = self.base_weight().shape
        device = self.weight.device
        self.lora_A = nn.Parameter(torch.empty(rank, inputs, device=device))
        self.lora_B = nn.Parameter(torch.zeros(outputs, rank, device=device))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        self.dropout = nn.Dropout(dropout) if dropout else None
        self.magnitude: nn.Parameter | None = None
        if dora:
            self.magnitude = nn.Parameter(self.base_weight().float().norm(dim=1))
        self.enabled = True
        self.merging = True
        self._merged: Tensor | None = None
        self._norm: Tensor | None = None
        self._seen: tuple[int, ...] = ()

    @property
    def weight(self) -> Tensor:
        """The base weight as the base keeps it (transformers reads its dtype)."""
        return self.base.weight  # type: ignore[return-value]

    def base_weight(self) -> Tensor:
        """[O, I] the frozen weight, dequantised where it is quantised."""
        if self.quantised:
            return dequantised(self.base)
        weight: Tensor = self.base.weight  # type: ignore[assignment]
        return weight.t() if self.transposed else weight

    def merged_weight(self) -> Tensor:
        """[O, I] the weight with the update in it, made anew when A, B or the magnitude changed."""
        parts = [p for p in (self.lora_A, self.lora_B, self.magnitude) if p is not None]
        versions = tuple(p._version for p in parts)
        if self._merged is None or versions != self._seen:
            with torch.no_grad():
                weight = self.base_weight()
                update = self.lora_B @ self.lora_A
                out = weight.float().add(update, alpha=self.scale)
                if self.magnitude is not None:
                    self._norm = out.norm(dim=1)
                    out *= (self.magnitude / self._norm)[:, None]
                if self._merged is None:
                    self._merged = out.to(weight.dtype).contiguous()
                else:
                    self._merged.copy_(out)
            self._seen = versions
        return self._merged

    def keep_apart(self) -> None:
        """Never merge: base and update as two branches (weights that are sharded have no copy)."""
        self.merging, self._merged = False, None

    def stale(self) -> None:
        """Say that A, B or the magnitude changed (the fused optimizer leaves no trace of it)."""
        self._seen = ()

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., I] → [..., O]."""
        if not self.enabled:
            out: Tensor = self.base(x)
            return out
        bias: Tensor | None = getattr(self.base, "bias", None)
        if x.device.type == "cpu" and not self.quantised and self._can_merge(x):
            merged = self.merged_weight()
            if torch.is_grad_enabled():
                y: Tensor = _Merged.apply(  # type: ignore[no-untyped-call]
                    x, merged, self.lora_A, self.lora_B, self.magnitude, self._norm, self.scale
                )
            else:
                y = linear_nt(x, merged)
            return y if bias is None else y + bias
        return self._side_branch(x, bias)

    def _can_merge(self, x: Tensor) -> bool:
        dropping = self.dropout is not None and self.training
        return (
            self.merging
            and not dropping
            and x.dtype is torch.float32
            and not torch.is_autocast_enabled("cpu")
        )

    def _side_branch(self, x: Tensor, bias: Tensor | None) -> Tensor:
        branch = self.dropout(x) if self.dropout is not None else x
        down = linear(branch, self.lora_A.to(x.dtype))
        update = linear(down, self.lora_B.to(x.dtype)) * self.scale
        base: Tensor = self.base(x)
        if self.magnitude is None:
            return base + update
        weight = self.base_weight()
        with torch.no_grad():
            norm = weight.float().add(self.lora_B @ self.lora_A, alpha=self.scale).norm(dim=1)
        factor = (self.magnitude / norm).to(x.dtype)
        plain = base if bias is None else base - bias
        if self.dropout is not None:
            plain = linear(branch, weight.to(x.dtype))
        scaled: Tensor = base + (factor - 1) * plain + factor * update
        return scaled


def lora_modules(model: Any) -> Iterator[tuple[str, LoraLinear]]:
    """Every adapted layer with its path in the model, in order."""
    for path, module in model.named_modules():
        if isinstance(module, LoraLinear):
            yield path, module


def _replace(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)


def scaling(alpha: float, rank: int, rslora: bool) -> float:
    """α/r, or α/√r with rsLoRA."""
    return alpha / math.sqrt(rank) if rslora else alpha / rank


def attach(model: Any, settings: TrainConfig, *, seed: int) -> list[str]:
    """Freeze the model and put fresh adapters on it, in place. Returns the adapted paths.

    A is drawn as PEFT draws it (Kaiming uniform, a = √5), B is zero: the model's outputs do
    not change. Raises ConfigError where no module matches.
    """
    model.requires_grad_(False)
    paths = target_modules(model, settings.layers, settings.targets)
    scale = scaling(settings.alpha, settings.rank, settings.rslora)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for path in paths:
            base = model.get_submodule(path)
            layer = LoraLinear(
                base, settings.rank, scale, dora=settings.dora, dropout=settings.dropout
            )
            _replace(model, path, layer)
    return paths


_NAMES = {
    "lora_A": "lora_A.weight",
    "lora_B": "lora_B.weight",
    "magnitude": "lora_magnitude_vector",
}


def adapter_state(model: Any, weights: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The adapter's tensors under PEFT's names; ``weights``: instead of the model's own, by name."""
    state = {}
    for path, layer in lora_modules(model):
        for ours, theirs in _NAMES.items():
            tensor = getattr(layer, ours)
            if tensor is not None:
                value = tensor if weights is None else weights[f"{path}.{ours}"]
                state[f"{_PREFIX}{path}.{theirs}"] = value.detach().cpu().contiguous()
    return state


def save_adapter(
    model: Any,
    folder: Path,
    settings: TrainConfig,
    base: str,
    weights: Mapping[str, Tensor] | None = None,
) -> None:
    """Write the adapter as PEFT writes it; ``peft`` loads it with nothing of ours.

    ``base`` is recorded as ``base_model_name_or_path``; ``weights`` as in ``adapter_state``.
    """
    from peft import LoraConfig

    modules = list(lora_modules(model))
    stack = layer_stack(model)
    inner = [path.removeprefix(stack.path + ".").split(".", 1) for path, _ in modules]
    chosen = sorted({int(index) for index, _ in inner})
    partial = len(chosen) < len(stack.layers)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        base_model_name_or_path=base,
        inference_mode=True,
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]
        lora_dropout=settings.dropout,
        use_rslora=settings.rslora,
        use_dora=settings.dora,
        target_modules=sorted({name.rsplit(".", 1)[-1] for _, name in inner}),
        layers_to_transform=chosen if partial else None,
        layers_pattern=stack.attribute if partial else None,
        fan_in_fan_out=any(layer.transposed for _, layer in modules),
    )
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(str(folder))
    _sort_modules(folder / CONFIG)
    with os_errors(folder):
        save_file(adapter_state(model, weights), folder / WEIGHTS, metadata={"format": "pt"})


def _sort_modules(path: Path) -> None:
    # PEFT keeps the modules in a set, whose order changes from process to process; an adapter is
    # named by its content, so the same training must write the same bytes.
    config = json.loads(path.read_text(encoding="utf-8"))
    config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")


def load_adapter(model: Any, folder: Path) -> None:
    """Put a PEFT LoRA adapter on the model, in place; ours or anyone's.

    Raises:
        ModelError: no adapter there, a kind that is not LoRA on linear layers, tensors that
            fit no module of this model, or an adapter that changes nothing.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        state = load_file(folder / WEIGHTS)
    except (OSError, ValueError) as error:
        raise ModelError(f"no readable PEFT adapter: {error}", where=str(folder)) from None
    if config.get("peft_type") != "LORA":
        raise ModelError(
            f"adapter kind {config.get('peft_type')!r} is not LoRA",
            where=str(folder / CONFIG),
            next_step="merge it into its base with peft and use the merged model",
        )
    model.requires_grad_(False)
    paths = sorted({key.removeprefix(_PREFIX).rsplit(".lora_", 1)[0] for key in state})
    used = 0
    for path in paths:
        used += _load_layer(model, folder, path, config, state)
    if used != len(state):
        known = {
            f"{_PREFIX}{p}.lora_{kind}"
            for p in paths
            for kind in ("A.weight", "B.weight", "magnitude_vector")
        }
        odd = sorted(set(state) - known)
        raise ModelError(
            f"{len(state) - used} tensors of the adapter are of a kind not supported, e.g. {odd[0]!r}",
            where=str(folder / WEIGHTS),
            next_step="merge it into its base with peft and use the merged model",
        )
    if not any(layer.lora_B.any() for _, layer in lora_modules(model)):
        raise ModelError("the adapter changes nothing: every B is zero", where=str(folder))


def _load_layer(
    model: Any, folder: Path, path: str, config: dict[str, Any], state: dict[str, Tensor]
) -> int:
    key = _PREFIX + path
    a, b = state.get(f"{key}.lora_A.weight"), state.get(f"{key}.lora_B.weight")
    magnitude = state.get(f"{key}.lora_magnitude_vector")
    if a is None or b is None:
        return 0
    try:
        base = model.get_submodule(path)
    except AttributeError:
        raise ModelError(
            f"the adapter is for another model: there is no module {path!r} here",
            where=str(folder),
        ) from None
    rank = a.shape[0]
    alpha = _pattern(config.get("alpha_pattern") or {}, path, config["lora_alpha"])
    scale = scaling(float(alpha), rank, bool(config.get("use_rslora")))
    layer = LoraLinear(base, rank, scale, dora=magnitude is not None)
    if a.shape != layer.lora_A.shape or b.shape != layer.lora_B.shape:
        raise ModelError(
            f"the adapter is for another model: {path} is {tuple(layer.weight.shape)}, "
            f"its A is {tuple(a.shape)} and B {tuple(b.shape)}",
            where=str(folder),
        )
    with torch.no_grad():
        layer.lora_A.copy_(a)
        layer.lora_B.copy_(b)
        if magnitude is not None and layer.magnitude is not None:
            layer.magnitude.copy_(magnitude)
    _replace(model, path, layer)
    return 2 + (magnitude is not None)


def _pattern(patterns: dict[str, Any], path: str, default: Any) -> Any:
    for name, value in patterns.items():
        if path == name or path.endswith(f".{name}"):
            return value
    return default


@torch.no_grad()
def fold(model: Any) -> None:
    """Write every adapter into its base weight and take the adapter modules away, in place."""
    for path, layer in list(lora_modules(model)):
        merged = layer.merged_weight()
        weight: Tensor = layer.base.weight  # type: ignore[assignment]
        weight.copy_(merged.t() if layer.transposed else merged)
        _replace(model, path, layer.base)
