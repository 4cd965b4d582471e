"""A merged model folder as one GGUF file, and an adapter as a separate GGUF file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from residency.chat.chat_format import ChatFormat
from residency.errors import ModelError
from residency.export.export_formats import QUANTISATIONS, Quantisation, choose_types
from residency.export.gguf_architecture import (
    Family,
    find_family,
    reorder_rows,
    rope_tensors,
    write_architecture,
)
from residency.export.gguf_tokenizer import write_special_tokens, write_tokenizer
from residency.files.atomic_write import open_draft
from residency.model.load_model import load_tokenizer

_SUFFIXES = (".weight", ".bias")


def write_gguf(
    folder: Path,
    out: Path,
    quantisation: str,
    *,
    chat: ChatFormat,
    name: str = "",
    template: str = "",
) -> None:
    """Write a Hugging Face folder as one GGUF file; ``template`` where it is not the chat format's.

    Raises:
        ModelError: the architecture or the tokenizer is not one that is written, or a weight has
            no name in llama.cpp's model.
    """
    import gguf
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder)
    family = find_family(config)
    way = QUANTISATIONS[quantisation]
    with open_draft(out) as draft:
        writer = gguf.GGUFWriter(draft, family.name)
        try:
            writer.add_name(name or folder.name)
            writer.add_file_type(way.file_type)
            writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
            write_architecture(writer, config, family)
            tokenizer = load_tokenizer(folder)
            write_tokenizer(writer, tokenizer, folder, config.vocab_size)
            write_special_tokens(
                writer, tokenizer, template or chat.template, chat.end_ids, adds_bos=chat.adds_bos
            )
            for tensor, values in _read_tensors(folder, config, family):
                _add_tensor(writer, tensor, values, way, config.num_hidden_layers)
            for tensor, values in rope_tensors(config, family).items():
                writer.add_tensor(tensor, values)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()


def write_gguf_adapter(adapter: Path, base: Path, out: Path) -> None:
    """Write a PEFT LoRA adapter as llama.cpp's adapter file.

    Raises:
        ModelError: the adapter changes something that such a file cannot hold.
    """
    import gguf
    from safetensors.torch import load_file
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(base)
    family = find_family(config)
    settings = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    _refuse_other_adapters(settings, adapter)
    rank = int(settings["r"])
    alpha = float(settings["lora_alpha"])
    if settings.get("use_rslora"):
        alpha *= math.sqrt(rank)  # llama.cpp divides by the rank
    find_name = _name_tensors(config, family)
    with open_draft(out) as draft:
        writer = gguf.GGUFWriter(draft, family.name)
        try:
            writer.add_string("general.type", "adapter")
            writer.add_string("adapter.type", "lora")
            writer.add_float32("adapter.lora.alpha", alpha)
            for key, value in sorted(load_file(adapter / "adapter_model.safetensors").items()):
                module, side = _split_adapter_key(key, adapter)
                values = value.float().numpy()
                if side == "lora_b":
                    values = _reorder(f"{module}.weight", values, config, family)
                writer.add_tensor(f"{find_name(f'{module}.weight')}.{side}", values)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()


def _refuse_other_adapters(settings: dict[str, Any], adapter: Path) -> None:
    wrong = [
        name
        for name, usual in (
            ("use_dora", False), ("modules_to_save", None), ("rank_pattern", {}),
            ("alpha_pattern", {}), ("target_parameters", None), ("bias", "none"),
            ("fan_in_fan_out", False),
        )
        if settings.get(name, usual) not in (usual, None, [], {}, False)
    ]  # fmt: skip
    if wrong:
        raise ModelError(
            f"an adapter with {', '.join(wrong)} cannot be written as a GGUF adapter",
            where=str(adapter),
            next_step="use --format gguf: adapter and base as one file",
        )


def _split_adapter_key(key: str, adapter: Path) -> tuple[str, str]:
    name = key.removeprefix("base_model.model.")
    for side, mark in (("lora_a", ".lora_A."), ("lora_b", ".lora_B.")):
        if mark in name:
            return name.partition(mark)[0], side
    raise ModelError(f"{key} is no LoRA weight", where=str(adapter))


def _read_tensors(folder: Path, config: Any, family: Family) -> Iterator[tuple[str, np.ndarray]]:
    """Every weight under llama.cpp's name, in its order of rows, in fp32."""
    from safetensors import safe_open

    find_name = _name_tensors(config, family)
    tied = bool(getattr(config, "tie_word_embeddings", False))
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 - no mapping
                if name == "lm_head.weight" and tied:
                    continue
                values = weights.get_tensor(name).to(torch.float32).numpy()
                values = _reorder(name, values, config, family)
                if family.norm_offset and name.endswith("norm.weight"):
                    values = values + np.float32(family.norm_offset)
                yield find_name(name), values


def _reorder(name: str, values: np.ndarray, config: Any, family: Family) -> np.ndarray:
    if not family.swaps_halves:
        return values
    if ".q_proj." in name:
        return reorder_rows(values, config.num_attention_heads)
    if ".k_proj." in name:
        return reorder_rows(values, config.num_key_value_heads)
    return values


def _name_tensors(config: Any, family: Family) -> Callable[[str], str]:
    import gguf

    architecture = next(a for a, n in gguf.MODEL_ARCH_NAMES.items() if n == family.name)
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)

    def find_name(name: str) -> str:
        gguf_name = names.get_name(name, try_suffixes=_SUFFIXES)
        if gguf_name is None:
            raise ModelError(
                f"the weight {name} has no place in llama.cpp's {family.name}",
                next_step="use --format hf",
            )
        return str(gguf_name)

    return find_name


def _add_tensor(writer: Any, name: str, values: np.ndarray, way: Quantisation, layers: int) -> None:
    import gguf

    if values.ndim < 2:
        writer.add_tensor(name, values.astype(np.float32))
        return
    kind = _fit_type(*choose_types(name, way, layers), values.shape[-1])
    if kind == "F32":
        writer.add_tensor(name, np.ascontiguousarray(values, np.float32))
    elif kind == "F16":
        writer.add_tensor(name, values.astype(np.float16))
    else:
        number = gguf.GGMLQuantizationType[kind]
        writer.add_tensor(name, _quantise(values, kind), raw_dtype=number)


def _fit_type(wanted: str, small: str, row: int) -> str:
    """The wanted type, or one that a row of this length can be stored in."""
    import gguf

    for kind in (wanted, small, "F16"):
        block, _ = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
        if row % block == 0:
            return kind
    return "F16"


def _quantise(values: np.ndarray, kind: str) -> np.ndarray:
    import gguf

    rows = np.ascontiguousarray(values, np.float32)
    if kind.endswith("_K"):
        try:
            import libgguf
        except ImportError:
            raise ModelError(
                f"{kind} is written by the package libgguf, which is not installed",
                next_step="pip install 'residency[export]', or name another quantisation",
            ) from None
        return np.asarray(libgguf.quantize_rows(rows, libgguf.GGMLQuantizationType[kind]))
    return gguf.quantize(rows, gguf.GGMLQuantizationType[kind])
