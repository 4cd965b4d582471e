"""What a model folder must hold before anything of it is loaded, and what is refused in which words.

Training, evaluation and merging ask the same function, so what one of them refuses all refuse.
Neither PyTorch nor transformers is imported, unless a folder brings code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from residency.errors import ModelError
from residency.files.lfs_pointer import NEXT_STEP, is_lfs_pointer
from residency.model.declared_ids import check_declared_ids
from residency.text.counts import write_count

INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_config.json"
_LAYERS = frozenset(
    {
        "num_hidden_layers",
        "num_layers",
        "n_layer",
        "n_layers",
        "num_decoder_layers",
        "decoder_layers",
    }
)
_EXPERTS = frozenset({"num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"})
_RESAVE = "load and save it once with save_pretrained, on a machine that trusts it"


def check_model_folder(path: Path) -> dict[str, Any]:
    """The folder's ``config.json``, where folder and configuration can be used.

    Raises:
        ModelError: not a folder with a model; its weights are pickled, incomplete or quantised,
            or an adapter lies beside them; it needs code from its folder; it names ids that are no
            tokens of it.
    """
    _check_pointers(path)
    _check_adapter(path)
    config = _read_config(path)
    _check_code(path, config)
    check_not_quantised(path, config)
    _check_weight_files(path)
    _check_counts(path, config)
    check_declared_ids(path, config)
    return config


def check_tokenizer_files(path: Path) -> None:
    """Refuse a folder without a tokenizer.

    Raises:
        ModelError: there is none.
    """
    names = {file.name for file in path.iterdir()}
    if not names & {"tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt"}:
        raise ModelError(
            "the folder has no tokenizer",
            where=str(path),
            next_step="save the model's tokenizer into the same folder",
        )


def _read_config(path: Path) -> dict[str, Any]:
    file = path / "config.json"
    if not file.is_file():
        raise ModelError(
            "not a model folder: it has no config.json",
            where=str(path),
            next_step="name a folder written by save_pretrained, or fetch a base with: "
            "residency base fetch",
        )
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ModelError(f"config.json is not JSON: {error}", where=str(file)) from None
    if not isinstance(config, dict):
        raise ModelError("config.json holds no object", where=str(file))
    return config


def _check_pointers(path: Path) -> None:
    """Files that a clone without Git LFS left as pointers."""
    for file in sorted(path.glob("*")) if path.is_dir() else ():
        if file.suffix in {".safetensors", ".json", ".model"} and is_lfs_pointer(file):
            raise ModelError(
                "a Git LFS pointer, not the file itself", where=str(file), next_step=NEXT_STEP
            )


def _check_adapter(path: Path) -> None:
    """An adapter alone, or beside weights: transformers would add it where PEFT is installed."""
    file = path / ADAPTER
    if not file.is_file():
        return
    try:
        base = json.loads(file.read_text(encoding="utf-8")).get("base_model_name_or_path") or "?"
    except (ValueError, OSError, AttributeError):
        base = "?"
    if (path / "config.json").is_file():
        what = f"a model and an adapter of {base} ({ADAPTER}) lie in one folder"
        step = f"move {ADAPTER} and its weights elsewhere; or, to begin with the adapter, "
    else:
        what, step = f"an adapter of {base}, not a model", ""
    raise ModelError(
        what,
        where=str(path),
        next_step=step + "fold it into its base with PEFT (merge_and_unload, then save_pretrained "
        "into a new folder) and name that folder",
    )


def _check_code(path: Path, config: Mapping[str, Any]) -> None:
    """A folder with code is usable only where transformers knows the architecture."""
    if not config.get("auto_map"):
        return
    from transformers import CONFIG_MAPPING

    kind = config.get("model_type")
    if kind not in CONFIG_MAPPING:
        raise ModelError(
            f"the architecture {kind!r} is code inside the folder, which is never run",
            where=str(path / "config.json"),
            next_step="name a model whose architecture transformers has itself, or a newer "
            "transformers that has this one",
        )


def check_not_quantised(path: Path, config: Mapping[str, Any]) -> None:
    """Refuse weights that are stored quantised: an adapter cannot be folded into them exactly.

    Raises:
        ModelError: naming the kind.
    """
    stored = config.get("quantization_config") or {}
    text = config.get("text_config")
    if not stored and isinstance(text, Mapping):
        stored = text.get("quantization_config") or {}
    if not stored:
        return
    kind = (
        str(stored.get("quant_method") or "unknown") if isinstance(stored, Mapping) else "unknown"
    )
    raise ModelError(
        f"the folder's weights are stored quantised ({kind}): they cannot be trained, evaluated "
        "and merged with the same figures",
        where=str(path / "config.json"),
        next_step="use the same model in full precision (to train with 4-bit weights set "
        'train.quantize = "nf4"), or as a .gguf file',
    )


def _check_weight_files(path: Path) -> None:
    names = {file.name for file in path.iterdir()}
    if not any(name.endswith(".safetensors") for name in names):
        pickled = any(name.endswith((".bin", ".pt", ".pth")) for name in names)
        raise ModelError(
            "the folder has no weights as .safetensors"
            + (" (pickled weights are never loaded: they can run code)" if pickled else ""),
            where=str(path),
            next_step=_RESAVE,
        )
    if INDEX not in names:
        return
    try:
        shards = set(json.loads((path / INDEX).read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError, TypeError, OSError) as error:
        raise ModelError(f"the index of the weights is damaged: {error}", where=str(path / INDEX),
                         next_step="download or copy the folder again") from None  # fmt: skip
    missing = sorted(str(shard) for shard in shards if str(shard) not in names)
    if missing:
        raise ModelError(
            f"{len(missing)} of {len(shards)} files of the weights are missing: "
            + ", ".join(missing[:4]) + (" …" if len(missing) > 4 else ""),
            where=str(path),
            next_step="download or copy the folder again, to its end",
        )  # fmt: skip


def _check_counts(path: Path, config: Mapping[str, Any]) -> None:
    """Layers and experts that no weights are there for: building them could take for ever.

    A layer has a tensor of its own; experts have, or are the first dimension of one.
    """
    shapes = _read_shapes(path)
    if not shapes:
        return  # whoever loads the weights says why they cannot be read
    most_layers = len(shapes)
    most_experts = max([most_layers, *(shape[0] for shape in shapes if shape)])
    for part in (config, config.get("text_config")):
        for name, count in part.items() if isinstance(part, Mapping) else ():
            most = most_layers if name in _LAYERS else most_experts if name in _EXPERTS else None
            if most is not None and isinstance(count, int) and count > most:
                raise ModelError(
                    f"{name} is {count}, and the weights have only {write_count(len(shapes), 'tensor')}",
                    where=str(path / "config.json"),
                    next_step="download or copy the folder again; weights and configuration "
                    "are not of one model",
                )


def _read_shapes(path: Path) -> list[list[int]]:
    """Shapes of the tensors in the folder's files; empty where one cannot be read."""
    shapes = []
    try:
        for file in path.glob("*.safetensors"):
            with safe_open(file, framework="numpy") as tensors:
                shapes += [tensors.get_slice(name).get_shape() for name in tensors.keys()]  # noqa: SIM118
    except (SafetensorError, OSError):
        return []
    return shapes
