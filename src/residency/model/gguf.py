"""A GGUF file to a Hugging Face folder: safetensors, tokenizer, chat template, generation settings.

transformers reads the file and dequantises it; what it leaves out is put right here:
the quantisation entry that would make the folder unloadable, the pre-tokenizers that it does
not know, and a generation configuration that says so plainly. Tests compare tokens and
log-probabilities with llama.cpp on the same file.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from residency.errors import FetchError, ModelError
from residency.files.atomic_write import write_text
from residency.files.write_errors import raise_os_errors
from residency.interfaces import Progress, ProgressEvent, no_progress
from residency.model.gguf_header import check_gguf_header

CONVERSION = 1
"""Raised when the conversion gives other outputs for the same file: part of the model's identity."""

# llama.cpp's names of pre-tokenizers (src/llama-vocab.cpp) that take digits one by one and then
# split as GPT-2 does. transformers 5.23 does not know them and would leave the digits out.
DIGITS_THEN_GPT2 = frozenset(
    {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}
)
GPT2_SPLIT = frozenset({"gpt-2", "mpt", "olmo", "jais", "trillion", "granite-docling"})


def read_metadata(path: Path) -> dict[str, Any]:
    """The file's key-value header: numbers, strings and lists; long lists are left out.

    Raises:
        ModelError: the file is not GGUF, or ends too early.
    """
    import gguf

    check_gguf_header(path)
    try:
        reader = gguf.GGUFReader(path)
        return {
            name: field.contents()
            for name, field in reader.fields.items()
            if len(field.data) <= 1024
        }
    except FileNotFoundError:
        raise ModelError("no such file", where=str(path)) from None
    except (ValueError, IndexError, KeyError, OSError) as error:
        raise ModelError(
            f"not a readable GGUF file ({error})",
            where=str(path),
            next_step="fetch the file again; it may be cut in half",
        ) from None


def convert_gguf(path: Path, out: Path, *, progress: Progress = no_progress) -> str:
    """Write the model in ``path`` to the folder ``out`` in fp32 and return a note for the user.

    fp32 because 4-bit weights times a 16-bit scale do not fit into 16 bits exactly.

    Raises:
        ModelError: the file is damaged, or of an architecture that transformers cannot read.
        FetchError: the disk is full.
    """
    metadata = read_metadata(path)
    progress(ProgressEvent("convert", 0, 3, "steps", {"step": "reading the tokenizer"}))
    try:
        with _quiet(), raise_os_errors(out):
            note = _save_tokenizer(path, out, metadata)
            progress(ProgressEvent("convert", 1, 3, "steps", {"step": "dequantising the weights"}))
            _save_model(path, out, progress)
    except OSError as error:
        raise no_room(error, out) from error
    except ModelError:
        raise
    except Exception as error:  # a file of anyone's: its reader may raise whatever it likes
        raise ModelError(
            f"cannot convert this GGUF file "
            f"(architecture {metadata.get('general.architecture', 'not stated')!r}): {error}",
            where=str(path),
            next_step="use the model's Hugging Face folder instead",
        ) from error
    progress(ProgressEvent("convert", 3, 3, "steps", {"step": "done"}))
    return note


def no_room(error: OSError, where: Path) -> FetchError:
    """The error of a failed write, in the user's words."""
    return FetchError(
        f"cannot write the model: {error.strerror or error}",
        where=str(where),
        next_step="free some space, or name another folder in the variable RESIDENCY_CACHE",
    )


def _save_tokenizer(path: Path, out: Path, metadata: dict[str, Any]) -> str:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    note = ""
    if metadata.get("tokenizer.ggml.model") == "gpt2":
        note = _set_pre_tokenizer(tokenizer.backend_tokenizer, metadata.get("tokenizer.ggml.pre"))
    _same_template(tokenizer, metadata, path)
    tokenizer.save_pretrained(out)
    # Where it was converted says nothing about the tokenizer.
    _edit_json(out / "tokenizer_config.json", drop=("is_local", "local_files_only", "name_or_path"))
    return note


def _set_pre_tokenizer(backend: Any, name: str | None) -> str:
    from tokenizers import pre_tokenizers
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    if name in DIGITS_THEN_GPT2:
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
    elif name not in GPT2_SPLIT and name not in GGUF_PRE_TOKENIZER_SPLITS:
        return (
            f"the file's pre-tokenizer {name!r} is not known here; text is split as GPT-2 does, "
            "so some tokens may differ from llama.cpp's"
        )
    return ""


def _same_template(tokenizer: Any, metadata: dict[str, Any], path: Path) -> None:
    """The tokenizer must carry the file's chat template, letter for letter."""
    if (tokenizer.chat_template or None) != (metadata.get("tokenizer.chat_template") or None):
        raise ModelError("the chat template was changed while reading", where=str(path))


def _save_model(path: Path, out: Path, progress: Progress) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    with _bar_to(progress):
        model = AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.float32
        )
    # The weights are plain numbers now; with this entry the saved folder would ask for GGUF again.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    setattr(model, "hf_quantizer", None)  # noqa: B010 - typed as a module attribute
    progress(ProgressEvent("convert", 2, 3, "steps", {"step": "writing the weights"}))
    model.save_pretrained(out)
    _edit_json(out / "config.json", drop=("_model_name_or_path", "quantization_config"))
    _edit_json(out / "generation_config.json", drop=("_from_model_config",))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's progress bars: ours are shown."""
    from transformers.utils import logging

    percent = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if percent:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _bar_to(progress: Progress) -> Iterator[None]:
    """transformers' GGUF loader draws a bar whatever its settings say: its steps become ours."""
    from transformers import modeling_gguf_pytorch_utils as loader

    def reported(tensors: Sequence[Any], **_: Any) -> Iterator[Any]:
        for done, tensor in enumerate(tensors):
            if done % 16 == 0:
                step = f"dequantising, tensor {done + 1} of {len(tensors)}"
                progress(ProgressEvent("convert", 1, 3, "steps", {"step": step}))
            yield tensor

    bar = getattr(loader, "tqdm", None)
    if bar is not None:
        setattr(loader, "tqdm", reported)  # noqa: B010 - typed as tqdm's class
    try:
        yield
    finally:
        if bar is not None:
            setattr(loader, "tqdm", bar)  # noqa: B010


def _edit_json(path: Path, *, drop: tuple[str, ...]) -> None:
    if path.exists():
        raw = json.loads(path.read_text(encoding="utf-8"))
        entries = {key: value for key, value in raw.items() if key not in drop}
        write_text(path, json.dumps(entries, indent=2, ensure_ascii=False) + "\n")
