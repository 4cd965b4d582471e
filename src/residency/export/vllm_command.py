"""The exact command that serves an exported folder with vLLM, its layout checked on the files."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from residency.errors import ModelError, UserError
from residency.export.export_model import VLLM_RANKS, describe_vllm

_WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class VllmCommand:
    """What to type, and the name by which clients ask for the model."""

    command: str
    model: str


def write_vllm_command(folder: Path, *, host: str, port: int) -> VllmCommand:
    """The command for a folder of ``residency export --format adapter`` or ``hf``.

    Raises:
        UserError: the folder is no such export. ModelError: vLLM would refuse the adapter, or its
            files do not agree with one another.
    """
    adapter = _find_inside(folder, "adapter", "adapter_config.json")
    merged = _find_inside(folder, "model", "config.json")
    where = ["--host", host, "--port", str(port)]
    if (adapter / "adapter_config.json").is_file():
        name = folder.resolve().name
        words = [*_describe_adapter(adapter, name), *where]
    elif (merged / "config.json").is_file() and list(merged.glob("*.safetensors")):
        name = folder.resolve().name
        words = ["vllm", "serve", str(merged.resolve()), "--served-model-name", name, *where]
    else:
        raise UserError(
            "neither an adapter nor a whole model in Hugging Face's layout",
            where=str(folder),
            next_step="residency export DIR --format adapter --out FOLDER",
        )
    return VllmCommand(shlex.join(words), name)


def _find_inside(folder: Path, name: str, file: str) -> Path:
    """The folder of this name that an export wrote into ``folder``, or ``folder`` itself."""
    return folder / name if (folder / name / file).is_file() else folder


def _describe_adapter(adapter: Path, name: str) -> list[str]:
    settings: dict[str, Any] = json.loads(
        (adapter / "adapter_config.json").read_text(encoding="utf-8")
    )
    note = describe_vllm(settings, name)
    if not note.startswith("vllm serve"):
        raise ModelError(note.partition(";")[0], where=str(adapter), next_step="use --format hf")
    rank = _check_weights(adapter, settings)
    base = str(settings.get("base_model_name_or_path") or "")
    if not base:
        raise ModelError("the adapter does not say which base it is of", where=str(adapter))
    size = next(r for r in VLLM_RANKS if rank <= r)
    words = ["vllm", "serve", base, "--enable-lora", "--max-lora-rank", str(size)]
    words += ["--lora-modules", f"{name}={adapter.resolve()}"]
    template = adapter / "chat_template.jinja"
    return [*words, "--chat-template", str(template.resolve())] if template.is_file() else words


def _check_weights(adapter: Path, settings: dict[str, Any]) -> int:
    """Names and shapes as vLLM's loader expects them; the rank."""
    file = adapter / _WEIGHTS
    if not file.is_file():
        raise ModelError(f"{_WEIGHTS} is missing", where=str(adapter))
    rank = int(settings["r"])
    targets = settings.get("target_modules")
    with safe_open(file, "np") as weights:
        for key in weights.keys():  # noqa: SIM118 (no mapping)
            module, _, part = key.removesuffix(".weight").rpartition(".")
            if part not in ("lora_A", "lora_B"):
                raise ModelError(f"vLLM does not know the weight {key}", where=str(file))
            shape = weights.get_slice(key).get_shape()
            if shape[0 if part == "lora_A" else 1] != rank:
                raise ModelError(f"{key} has shape {shape}, the rank is {rank}", where=str(file))
            last = module.rpartition(".")[2]
            if isinstance(targets, list) and not any(module.endswith(t) for t in targets):
                raise ModelError(f"{last} is none of target_modules", where=str(file))
    return rank
