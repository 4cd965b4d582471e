"""What an adapter changes, as plain weights; the base model itself is left as it was.

One base stays loaded and adapters come and go. Nothing is ever merged into the base's
tensors, so taking an adapter off restores the base exactly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from residency.errors import ModelError
from residency.model.lora import merged_weights, remove_adapters
from residency.model.peft_adapter import load_adapter


def replaced_weights(model: Any, path: Path) -> dict[str, Tensor]:
    """Parameters that replace those of the base, by name, under an adapter.

    Args:
        model: the base (a Hugging Face causal LM); unchanged afterwards.
        path: a PEFT adapter folder, or a folder of full weights (a fine-tuned model).

    Raises:
        ModelError: neither of them, pickled weights, or an adapter of another model.
    """
    if (path / "adapter_config.json").is_file():
        return _from_peft(model, path)
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise ModelError(
            "neither an adapter (adapter_config.json) nor weights (*.safetensors)",
            where=str(path),
            next_step="name the folder that training or export wrote",
        )
    return _from_full(model, files, path)


def _from_full(model: Any, files: list[Path], path: Path) -> dict[str, Tensor]:
    parameters = dict(model.named_parameters())
    replaced: dict[str, Tensor] = {}
    for file in files:
        for name, value in load_file(file).items():
            if name == "lm_head.weight" and name not in parameters:
                continue  # tied to the embedding, stored twice
            if name not in parameters or parameters[name].shape != value.shape:
                raise ModelError(
                    f"weight {name} with shape {tuple(value.shape)} does not fit the base model",
                    where=str(file),
                    next_step="use weights that were fine-tuned from this base",
                )
            replaced[name] = value.to(parameters[name])
    missing = parameters.keys() - replaced.keys()
    if missing:
        raise ModelError(
            f"{len(missing)} weights are missing, {min(missing)} first", where=str(path)
        )
    return replaced


def _from_peft(model: Any, path: Path) -> dict[str, Tensor]:
    replaced: dict[str, Tensor] = {}
    try:
        load_adapter(model, path)
        for name, weight in merged_weights(model):
            replaced[name] = weight.detach().clone()
    finally:
        remove_adapters(model)
    return replaced
