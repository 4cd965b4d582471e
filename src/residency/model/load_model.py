"""Load a causal language model and its tokenizer from a Hugging Face folder, quietly and safely.

Weights are read from safetensors only, and no code from the folder is ever run.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from residency.errors import ConfigError, MissingExtraError, ModelError
from residency.http.telemetry import silence_telemetry
from residency.model.causality import prove_causal, prove_trains, prove_writes
from residency.model.find_layers import find_stack
from residency.model.folder_checks import check_model_folder
from residency.model.four_bits import make_differentiable
from residency.model.kernels import use_fast_products
from residency.model.length_classes import check_context_length
from residency.model.loaded_weights import (
    check_finite_weights,
    check_loading_report,
    check_rotary_frequencies,
    check_stored_tensors,
    check_tied_head,
)
from residency.model.own_bases import is_own_base
from residency.model.quiet_libraries import quiet_libraries

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(device: str = "auto") -> torch.device:
    """``auto`` is the first of cuda, mps, cpu that is there."""
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def load_model(
    path: Path | str,
    adapter: Path | str | None = None,
    *,
    dtype: str | torch.dtype = "fp32",
    device: str | torch.device = "auto",
    merge: bool = True,
    quantize: str = "none",
) -> Any:
    """A causal language model in eval mode.

    Args:
        path: Hugging Face folder with safetensors.
        adapter: folder of a PEFT adapter, or of full weights (a folder with a
            ``config.json``), which then replace the base's.
        dtype: ``"fp32"``, ``"bf16"``, ``"fp16"`` or a torch dtype.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` …
        merge: fold the adapter into the weights (faster); False keeps adapter modules.
        quantize: ``"nf4"`` keeps linear layers in 4 bits (QLoRA, arXiv 2305.14314).

    Raises:
        ConfigError: 4 bits on a device that has none. MissingExtraError: without bitsandbytes.
        ModelError: the folder holds no model, pickled weights, code, or an
            adapter of another model.
    """
    from residency.model.lora import fold_adapters
    from residency.model.peft_adapter import load_adapter

    path = Path(path)
    if adapter is not None and (Path(adapter) / "config.json").is_file():
        path, adapter = Path(adapter), None
    check_model_folder(path)
    torch_dtype = DTYPES[dtype] if isinstance(dtype, str) else dtype
    where = pick_device(device) if isinstance(device, str) else device
    extra = _four_bits(where, torch_dtype) if quantize == "nf4" else {}
    model = _from_pretrained(path, torch_dtype, **extra)
    if not extra:
        model.to(where)
    if where.type == "cpu":
        use_fast_products(model)
        make_differentiable(model)
    if not is_own_base(path):
        check_context_length(model.config, str(path))
        with quiet_libraries():
            prove_causal(model, str(path))
            prove_trains(model, find_stack(model, str(path)), str(path))
            prove_writes(model, str(path))
    if adapter is not None:
        load_adapter(model, Path(adapter))
        if merge:
            fold_adapters(model)
    model.eval()
    return model


def stored_dtype(path: Path) -> torch.dtype:
    """Number format of a folder's weights, fp32 where they have several.

    Loaded in this format on a CPU, weights stay on disk, mapped, until they are changed.
    """
    formats = set()
    for file in path.glob("*.safetensors"):
        with safe_open(file, framework="pt") as tensors:
            formats |= {tensors.get_slice(name).get_dtype() for name in tensors.keys()}  # noqa: SIM118
    known = {"BF16": torch.bfloat16, "F16": torch.float16}
    return known.get(formats.pop(), torch.float32) if len(formats) == 1 else torch.float32


def _four_bits(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """Arguments of ``from_pretrained`` for double-quantised NF4."""
    if device.type not in {"cuda", "cpu"}:
        raise ConfigError(
            f"4-bit training needs a CUDA device or a CPU, this is {device.type}",
            where="train.quantize",
            next_step='set train.quantize = "none"',
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingExtraError(
            "4-bit training needs bitsandbytes", next_step="pip install 'residency[gpu]'"
        )
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    return {"quantization_config": config, "device_map": {"": device}}


def _from_pretrained(path: Path, dtype: torch.dtype, **extra: Any) -> Any:
    silence_telemetry()
    if not is_own_base(path):
        with contextlib.suppress(SafetensorError):  # damaged: told below
            check_stored_tensors(path)
    with quiet_libraries():
        from transformers import AutoModelForCausalLM

        try:
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                path,
                dtype=dtype,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # named and refused below
                output_loading_info=True,
                **extra,
            )
        except SafetensorError as error:
            raise ModelError(
                f"the weights are damaged: {error}",
                where=str(path),
                next_step="delete this folder and make or fetch it again",
            ) from None
        except Exception as error:  # a folder of anyone's: its reader may raise whatever it likes
            raise _loading_error(path, error) from None
    model, report = loaded
    check_loading_report(report, path)
    if not is_own_base(path):
        check_finite_weights(model, path)
        check_rotary_frequencies(model, path)
        check_tied_head(model, path)
    return model


def _loading_error(path: Path, error: Exception) -> ModelError:
    lines = str(error).strip().splitlines()
    step = "copy or download the folder again; it must be one that transformers loads by itself"
    if "does not recognize this architecture" in str(error) or "Unrecognized configuration" in str(
        error
    ):
        step = "name a causal language model; a newer transformers may know this architecture"
    what = lines[0] if lines else type(error).__name__
    if isinstance(error, KeyError):
        what = f"its configuration or index names or lacks {what}"
        step = "correct config.json (or model.safetensors.index.json), or copy the folder again"
    return ModelError(f"the model cannot be loaded: {what}", where=str(path), next_step=step)


def load_tokenizer(path: Path | str) -> Any:
    """The folder's tokenizer.

    Raises:
        ModelError: the folder holds none.
    """
    with quiet_libraries():
        from transformers import AutoTokenizer

        try:
            return AutoTokenizer.from_pretrained(
                path, local_files_only=True, trust_remote_code=False
            )
        except BaseException as error:  # tokenizers raises plain Exception, and panics beside it
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise _tokenizer_error(Path(path), error) from None


def _tokenizer_error(path: Path, error: BaseException) -> ModelError:
    """What is missing, by name: a folder with a SentencePiece model alone needs a package to read it."""
    lines = str(error).strip().splitlines()
    what = lines[0] if lines else type(error).__name__
    step = "save the model's tokenizer into the folder again, with a tokenizer.json"
    vocabulary = path / "tokenizer.model"
    if vocabulary.is_file() and not (path / "tokenizer.json").is_file():
        # transformers names tiktoken for both kinds, which cannot read the other.
        reader = "tiktoken" if _is_tiktoken(vocabulary) else "sentencepiece"
        if importlib.util.find_spec(reader) is None:
            what = f"its tokenizer.model is read by {reader}, which is not installed"
            step = f"pip install {reader}; or {step}"
    return ModelError(f"the tokenizer cannot be loaded: {what}", where=str(path), next_step=step)


def _is_tiktoken(vocabulary: Path) -> bool:
    """Whether a ``tokenizer.model`` is a list of tokens in base64 with their ranks, not SentencePiece's."""
    with vocabulary.open("rb") as file:
        return re.match(rb"[A-Za-z0-9+/]+=* \d+\r?\n", file.readline(4096)) is not None
