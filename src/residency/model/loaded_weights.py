"""What was loaded must be what the folder holds: nothing made up, nothing left out, nothing broken.

transformers fills a tensor that a folder lacks with random numbers, and drops one that the
configuration does not know. Either way the model is another than the one that was saved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from residency.errors import ModelError
from residency.text.counts import write_count

_SHOWN = 4


def check_loading_report(report: Mapping[str, Any], path: Path) -> None:
    """Refuse what transformers' ``output_loading_info`` tells of.

    Raises:
        ModelError: tensors are missing, of another shape, or unknown; they are named.
    """
    missing = sorted(report.get("missing_keys") or ())
    wrong = sorted(report.get("mismatched_keys") or (), key=str)
    extra = sorted(report.get("unexpected_keys") or ())
    problems = []
    if missing:
        problems.append(f"{_name_some(missing)} missing (they would be random numbers)")
    if wrong:
        shapes = [
            f"{name} {tuple(has)} where {tuple(wants)} is wanted" for name, has, wants in wrong
        ]
        problems.append(f"{_name_some(shapes)} of another shape")
    if extra:
        problems.append(f"{_name_some(extra)} that config.json has no place for")
    if problems:
        raise ModelError(
            "weights and config.json disagree: " + "; ".join(problems),
            where=str(path),
            next_step="copy or download the folder again; or mend config.json so that it "
            "describes these weights (num_hidden_layers, vocab_size, tie_word_embeddings …)",
        )


def _name_some(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{write_count(len(names), 'tensor')} ({', '.join(names[:_SHOWN])}{more})"


def check_finite_weights(model: nn.Module, path: Path) -> None:
    """Refuse weights that hold NaN or infinity.

    Raises:
        ModelError: naming the tensors.
    """
    broken = [name for name, tensor in model.named_parameters() if not _is_finite(tensor)]
    broken += [name for name, tensor in model.named_buffers() if _holds_nan(tensor)]
    if broken:
        raise ModelError(
            f"{_name_some(broken)} hold NaN or infinity",
            where=str(path),
            next_step="the folder is damaged, or was saved from a training that diverged: use "
            "another copy",
        )


@torch.no_grad()
def check_rotary_frequencies(model: nn.Module, path: Path) -> None:
    """Refuse rotary positions that no text has: a base or a factor of 0 makes them infinite, and a
    model may still answer with them.

    Raises:
        ModelError: a frequency is infinite or below zero.
    """
    for name, tensor in model.named_buffers():
        if not name.endswith("inv_freq") or not tensor.numel() or tensor.is_meta:
            continue
        if not _is_finite(tensor) or float(tensor.min()) < 0:
            raise ModelError(
                f"the rotary frequencies that config.json asks for are infinite or negative ({name})",
                where=str(path / "config.json"),
                next_step="rope_theta and the factor of rope_parameters (or rope_scaling) must be "
                "above 0: copy them from the model that the weights are of",
            )


@torch.no_grad()
def _is_finite(tensor: Tensor) -> bool:
    if not tensor.is_floating_point() or not tensor.numel() or tensor.is_meta:
        return True
    low, high = torch.aminmax(tensor.detach())  # NaN passes through; one reading of the memory
    return bool(torch.isfinite(low) & torch.isfinite(high))


@torch.no_grad()
def _holds_nan(tensor: Tensor) -> bool:
    # A mask stored as a buffer may hold infinities on purpose.
    if not tensor.is_floating_point() or not tensor.numel() or tensor.is_meta:
        return False
    return bool(torch.isnan(tensor).any())


def check_stored_tensors(path: Path) -> None:
    """Refuse files of which it cannot be told, or not be told exactly, what the weights are.

    Only files that transformers reads by their names are looked at: others may lie beside them.

    Raises:
        ModelError: a tensor stands in two files and differs, or holds whole numbers.
    """
    files = sorted(path.glob("model*.safetensors"))
    holders: dict[str, Path] = {}
    whole: list[str] = []
    differing: list[str] = []
    for file in files:
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                kind = tensors.get_slice(name).get_dtype()
                if name.endswith("weight") and kind.startswith(("I", "U")):
                    whole.append(f"{name} ({kind.lower()})")
                other = holders.setdefault(name, file)
                if other != file and not torch.equal(
                    tensors.get_tensor(name), _read_tensor(other, name)
                ):
                    differing.append(f"{name} of {other.name} and {file.name}")
    if differing:
        raise ModelError(
            f"{_name_some(differing)} differ: two files hold one tensor each in its own way",
            where=str(path),
            next_step="keep the files of one saving (model.safetensors, or the shards with their "
            "index), and move the others away",
        )
    if whole:
        raise ModelError(
            f"{_name_some(whole)} hold whole numbers: quantised weights, whose scales config.json "
            "does not tell of",
            where=str(path),
            next_step="use the same model in full precision, or as a .gguf file",
        )


def check_tied_head(model: Any, path: Path) -> None:
    """Refuse a folder whose head differs from its embeddings though config.json ties them.

    Raises:
        ModelError: which of the two is meant cannot be told.
    """
    if not getattr(model.config.get_text_config(), "tie_word_embeddings", False):
        return
    files: dict[str, Path] = {}
    for file in path.glob("*.safetensors"):
        with safe_open(file, framework="pt") as tensors:
            files |= dict.fromkeys(tensors.keys(), file)
    tied = getattr(model, "_tied_weights_keys", None)
    for one, other in tied.items() if isinstance(tied, Mapping) else ():
        if one not in files or other not in files:
            continue
        if not torch.equal(_read_tensor(files[one], one), _read_tensor(files[other], other)):
            raise ModelError(
                f"config.json ties the head to the embeddings, but {one} differs from {other}",
                where=str(path),
                next_step="set tie_word_embeddings to false in config.json",
            )


def _read_tensor(file: Path, name: str) -> Tensor:
    with safe_open(file, framework="pt") as tensors:
        tensor: Tensor = tensors.get_tensor(name)
        return tensor
