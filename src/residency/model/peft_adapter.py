"""Adapters on disk, in PEFT's file format: written as PEFT writes them, read whoever wrote them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from residency.config.train import TrainConfig
from residency.errors import ModelError
from residency.files.write_errors import raise_os_errors
from residency.model.find_layers import layer_stack
from residency.model.lora import Adapter, all_adapters
from residency.model.lora_experts import LoraExperts, list_by_weight
from residency.model.lora_linear import LoraLinear, lora_modules, replace_module, update_scale
from residency.model.quiet_libraries import quiet_libraries

_PREFIX = "base_model.model."
_MOST_RANK = 1 << 20
"""Ranks and alphas from here on are no training's; tensors of that rank would fill the memory."""
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


_NAMES = {
    "lora_A": "lora_A.weight",
    "lora_B": "lora_B.weight",
    "magnitude": "lora_magnitude_vector",
}


def adapter_state(model: Any, weights: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The adapter's tensors under PEFT's names; ``weights``: instead of the model's, by name."""
    state = {}
    for path, layer in all_adapters(model):
        for ours, theirs in _tensor_names(layer):
            value = layer.get_parameter(ours) if weights is None else weights[f"{path}.{ours}"]
            state[f"{_PREFIX}{path}.{theirs}"] = value.detach().cpu().contiguous()
    return state


def _tensor_names(layer: Adapter) -> list[tuple[str, str]]:
    """(our name, PEFT's name) of a layer's tensors."""
    if isinstance(layer, LoraExperts):
        return [(ours, theirs) for _, ours, theirs in layer.tensors()]
    return [(n, theirs) for n, theirs in _NAMES.items() if getattr(layer, n) is not None]


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
    with quiet_libraries():
        from peft import LoraConfig

    modules = list(lora_modules(model))
    by_weight = list_by_weight(model, [path for path, _ in modules])
    parameters = [f"{path}.weight" for path in by_weight] + [
        f"{path}.{name}"
        for path, layer in all_adapters(model)
        if isinstance(layer, LoraExperts)
        for name in layer.names
    ]
    stack = layer_stack(model)
    inner = [path.removeprefix(stack.path + ".").split(".", 1) for path, _ in modules]
    chosen = sorted({int(index) for index, _ in inner})
    named = {path.rsplit(".", 1)[-1] for path, _ in modules if path not in by_weight}
    partial = bool(chosen) and len(chosen) < len(stack.layers)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        base_model_name_or_path=base,
        inference_mode=True,
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]
        lora_dropout=settings.dropout,
        use_rslora=settings.rslora,
        use_dora=settings.dora,
        target_modules=sorted(named),
        target_parameters=parameters or None,
        layers_to_transform=chosen if partial else None,
        layers_pattern=stack.attribute if partial else None,
        fan_in_fan_out=any(layer.transposed for _, layer in modules),
    )
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(str(folder))
    _sort_modules(folder / CONFIG)
    with raise_os_errors(folder):
        save_file(adapter_state(model, weights), folder / WEIGHTS, metadata={"format": "pt"})


def _sort_modules(path: Path) -> None:
    # PEFT keeps the modules in a set, whose order changes from process to process; an adapter is
    # named by its content, so the same training must write the same bytes.
    config = json.loads(path.read_text(encoding="utf-8"))
    config["target_modules"] = sorted(config["target_modules"] or [])
    path.write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")


def load_adapter(model: Any, folder: Path) -> None:
    """Put a PEFT LoRA adapter on the model, in place; ours or anyone's.

    Raises:
        ModelError: no adapter there, a kind that is not LoRA on linear layers, tensors that
            fit no module of this model, or an adapter that changes nothing.
    """
    config, state = _read_adapter(folder)
    if config.get("peft_type") != "LORA":
        raise ModelError(
            f"adapter kind {config.get('peft_type')!r} is not LoRA",
            where=str(folder / CONFIG),
            next_step="merge it into its base with peft and use the merged model",
        )
    _check_scale(config, folder)
    model.requires_grad_(False)
    try:
        stacked, used = _load_experts(model, folder, config, state)
        names = {key.removeprefix(_PREFIX).rsplit(".lora_", 1)[0] for key in state}
        paths = sorted(names - stacked)
        for path in paths:
            used += _load_layer(model, folder, path, config, state)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise ModelError(
            f"the adapter cannot be put on this model: {type(error).__name__} {error}",
            where=str(folder),
            next_step="use the adapter as it was saved",
        ) from None
    check_shared_weights(model, folder)
    if used != len(state):
        known = {
            f"{_PREFIX}{p}.lora_{kind}"
            for p in paths
            for kind in ("A.weight", "B.weight", "magnitude_vector")
        }
        odd = sorted(set(state) - known) or sorted(state)
        raise ModelError(
            f"tensors of a kind not supported: {len(state) - used}, e.g. {odd[0]!r}",
            where=str(folder / WEIGHTS),
            next_step="merge it into its base with peft and use the merged model",
        )
    broken = sorted(name for name, value in state.items() if not bool(value.isfinite().all()))
    if broken:
        raise ModelError(
            f"tensors of the adapter that hold NaN or infinity: {len(broken)}, e.g. {broken[0]!r}",
            where=str(folder / WEIGHTS),
            next_step="train it again, or use another copy",
        )
    if not any(value.any() for name, value in state.items() if ".lora_B" in name):
        raise ModelError("the adapter changes nothing: every B is zero", where=str(folder))


def _read_adapter(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Settings and tensors.

    Raises:
        ModelError: they cannot be read, or are of another kind.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        state = load_file(folder / WEIGHTS)
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise ModelError(f"no readable PEFT adapter: {error}", where=str(folder)) from None
    if not isinstance(config, dict):
        raise ModelError("no object of settings", where=str(folder / CONFIG))
    whole = sorted(name for name, value in state.items() if not value.is_floating_point())
    if whole:
        raise ModelError(
            f"tensors of the adapter that are no weights: {len(whole)}, e.g. {whole[0]!r} "
            f"({state[whole[0]].dtype})",
            where=str(folder / WEIGHTS),
            next_step="use the adapter as it was saved",
        )
    return config, state


def check_shared_weights(model: Any, folder: Path) -> None:
    """Two updates of one weight (layers that share theirs) cannot be merged, here or by PEFT.

    Raises:
        ModelError: naming two such modules.
    """
    owners: dict[int, str] = {}
    for path, layer in lora_modules(model):
        other = owners.setdefault(id(layer.weight), path)
        if other != path:
            raise ModelError(
                f"the adapter changes one weight twice: {other} and {path} share it",
                where=str(folder),
                next_step="train an adapter here, which leaves shared weights alone",
            )


def _check_scale(config: Mapping[str, Any], folder: Path) -> None:
    """Rank and alpha must be numbers that a training can have had.

    Raises:
        ModelError: naming the field.
    """
    for field in ("r", "lora_alpha"):
        value = config.get(field)
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not 0 < value < _MOST_RANK
        ):
            raise ModelError(
                f"{field} is {value!r}, not a number above zero",
                where=str(folder / CONFIG),
                next_step="use the adapter as it was saved",
            )


def _load_experts(
    model: Any, folder: Path, config: Mapping[str, Any], state: Mapping[str, Tensor]
) -> tuple[set[str], int]:
    """Put the updates of stacked experts on the model: (paths in the file, tensors used)."""
    wanted: list[str] = list(config.get("target_parameters") or [])
    if not wanted:
        return set(), 0
    paths: set[str] = set()
    used = 0
    scale = update_scale(
        float(config["lora_alpha"]), int(config["r"]), bool(config.get("use_rslora"))
    )
    for path, module in list(model.named_modules()):
        names = [
            name
            for name, weight in module.named_parameters(recurse=False)
            if weight.ndim == 3  # a linear layer's weight is read as that layer's update
            and any(f".{path}.{name}".endswith(f".{target}") for target in wanted)
        ]
        if not names or isinstance(module, LoraLinear):
            continue
        layer = LoraExperts(module, names, int(config["r"]), scale)
        for _, ours, theirs in layer.tensors():
            value = state.get(f"{_PREFIX}{path}.{theirs}")
            parameter = layer.get_parameter(ours)
            if value is None or value.shape != parameter.shape:
                raise ModelError(
                    f"the adapter is for another model: {path}.{theirs} is missing or has "
                    "another shape",
                    where=str(folder),
                )
            with torch.no_grad():
                parameter.copy_(value)
            paths.add(f"{path}.{theirs}".rsplit(".lora_", 1)[0])
            used += 1
        replace_module(model, path, layer)
    return paths, used


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
    stated = _match_pattern(config.get("rank_pattern") or {}, path, config["r"])
    if stated != rank:
        raise ModelError(
            f"the configuration says rank {stated} for {path}, its tensors have {rank}",
            where=str(folder / CONFIG),
            next_step="use the adapter as it was saved",
        )
    alpha = _match_pattern(config.get("alpha_pattern") or {}, path, config["lora_alpha"])
    scale = update_scale(float(alpha), rank, bool(config.get("use_rslora")))
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
    replace_module(model, path, layer)
    return 2 + (magnitude is not None)


def _match_pattern(patterns: dict[str, Any], path: str, default: Any) -> Any:
    for name, value in patterns.items():
        if path == name or path.endswith(f".{name}"):
            return value
    return default
