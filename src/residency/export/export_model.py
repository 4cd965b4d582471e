"""One stored model written in one format, and every file of it proved by the program that loads it."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from residency.chat.chat_format import ChatFormat
from residency.errors import ModelError
from residency.export.export_formats import ExportFormat
from residency.export.file_template import write_file_template
from residency.export.gguf_file import write_gguf, write_gguf_adapter
from residency.export.llamacpp_consumer import open_llamacpp
from residency.export.ollama_modelfile import write_modelfile
from residency.export.proof import Consumer
from residency.export.thinking_text import has_thinking
from residency.export.transformers_consumer import open_transformers
from residency.files.atomic_write import write_json, write_text
from residency.model.merging import copy_tokenizer, merge_adapter

VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
_VLLM_DEFAULT_RANK = 16


@dataclass(frozen=True)
class ExportedFile:
    """A file or folder of an export, and how its program opens it.

    Attributes:
        name: as it stands in the table. path: what is loaded. exact: whether its weights are the
            model's, not rounded. beside: what it needs (an adapter's base), in a folder of ours.
    """

    name: str
    path: Path
    exact: bool
    beside: Path | None = None

    @property
    def size(self) -> int:
        """Bytes of weights."""
        if self.path.is_file():
            return self.path.stat().st_size
        return sum(p.stat().st_size for p in self.path.glob("*.safetensors"))

    def weights(self) -> list[Path]:
        """Files that hold the weights."""
        return [self.path] if self.path.is_file() else sorted(self.path.glob("*.safetensors"))


@dataclass(frozen=True)
class ModelSource:
    """What is exported: base and adapter folders, the chat format in use, and a name.

    ``instruction`` stands before every request of the project. ``stops``: strings at which answers end
    here, and which no file can tell its program. ``hub_base`` is the base's id where it came from a hub.
    """

    base: Path
    adapter: Path
    chat: ChatFormat
    name: str
    context: int
    instruction: str = ""
    stops: tuple[str, ...] = ()
    hub_base: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def base_name(self) -> str:
        """Where other programs find the base: on the hub, or in its folder on this machine."""
        return self.hub_base or str(self.base.resolve())

    @property
    def template(self) -> str:
        """The chat template that the files carry."""
        return write_file_template(self.chat, self.instruction)


def write_export(
    source: ModelSource,
    export_format: ExportFormat,
    out: Path,
    work: Path,
    quantisations: Sequence[str],
) -> list[ExportedFile]:
    """Write the files of a format into ``out``.

    Args:
        work: a folder of ours for what is only needed on the way.

    Raises:
        ModelError: this model cannot leave in this format. ParityError: merging changes it.
    """
    out.mkdir(parents=True, exist_ok=True)
    if export_format == "hf":
        _write_merged(source, out / "model")
        return [ExportedFile("model", out / "model", exact=True)]
    if export_format == "adapter":
        return [_write_adapter(source, out)]
    if export_format == "gguf-adapter":
        return [_write_gguf_adapter(source, out, work)]
    merged = work / "merged"
    if not merged.exists():
        _write_merged(source, merged)
    files = []
    for quantisation in quantisations:
        path = out / f"{source.name}-{quantisation}.gguf"
        write_gguf(
            merged, path, quantisation, chat=source.chat, name=source.name, template=source.template
        )
        files.append(ExportedFile(path.name, path, exact=quantisation == "f32"))
        if export_format == "ollama":
            modelfile = out / (
                "Modelfile" if len(quantisations) == 1 else f"Modelfile-{quantisation}"
            )
            write_text(
                modelfile,
                write_modelfile(source.chat, path.name, context=source.context, stops=source.stops),
            )
    return files


def _write_merged(source: ModelSource, out: Path) -> None:
    merge_adapter(source.base, source.adapter, out)
    _write_template(source.template, out)


def _write_template(template: str, out: Path) -> None:
    """The template in use, where transformers and servers look for it."""
    write_text(out / "chat_template.jinja", template)
    file = out / "tokenizer_config.json"
    if file.is_file():
        raw = json.loads(file.read_text(encoding="utf-8"))
        if raw.pop("chat_template", None) is not None:
            write_text(file, json.dumps(raw, indent=2, ensure_ascii=False) + "\n")


def _read_adapter_settings(adapter: Path) -> dict[str, object]:
    file = adapter / "adapter_config.json"
    if not file.is_file():
        raise ModelError(
            "this model has full weights and no adapter",
            where=str(adapter),
            next_step="use --format hf or gguf",
        )
    settings: dict[str, object] = json.loads(file.read_text(encoding="utf-8"))
    return settings


def _write_adapter(source: ModelSource, out: Path) -> ExportedFile:
    settings = _read_adapter_settings(source.adapter)
    folder = out / "adapter"
    shutil.copytree(source.adapter, folder, ignore=shutil.ignore_patterns("loss.json"))
    copy_tokenizer(source.base, folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    _write_template(source.template, folder)
    # What the project calls its base (a short name, a path from its own folder) is known to nobody else.
    settings["base_model_name_or_path"] = source.base_name
    write_json(folder / "adapter_config.json", settings, sort_keys=True)
    if not source.hub_base:
        source.notes.append(
            f"the adapter's base is a folder of this machine ({source.base_name}); for another one use --format hf"
        )
    source.notes.append(describe_vllm(settings, source.name))
    return ExportedFile("adapter", folder, exact=True, beside=source.base)


def describe_vllm(settings: dict[str, object], name: str) -> str:
    """How vLLM serves this adapter, or why it refuses it."""
    rank = settings.get("r")
    refusals = [
        text
        for key, text in (
            ("modules_to_save", "has modules saved whole"),
            ("use_dora", "uses DoRA"),
            ("target_parameters", "adapts expert parameters"),
        )
        if settings.get(key)
    ]
    if refusals:
        return f"vLLM refuses this adapter: it {', and it '.join(refusals)}; serve --format hf"
    size = next((r for r in VLLM_RANKS if isinstance(rank, int) and rank <= r), None)
    if size is None:
        return f"vLLM refuses this adapter: its rank is {rank}; serve --format hf"
    more = f" --max-lora-rank {size}" if size > _VLLM_DEFAULT_RANK else ""
    base = shlex.quote(str(settings.get("base_model_name_or_path") or "BASE"))
    return f"vllm serve {base} --enable-lora --lora-modules {name}=adapter{more}"


def _write_gguf_adapter(source: ModelSource, out: Path, work: Path) -> ExportedFile:
    _read_adapter_settings(source.adapter)
    path = out / f"{source.name}-adapter.gguf"
    write_gguf_adapter(source.adapter, source.base, path)
    base = work / "base-f32.gguf"
    if not base.exists():
        write_gguf(
            source.base, base, "f32", chat=source.chat, name="base", template=source.template
        )
    source.notes.append("the adapter is put on a GGUF file of the base: llama-server --lora")
    return ExportedFile(path.name, path, exact=True, beside=base)


@contextmanager
def open_file(file: ExportedFile, source: ModelSource, *, threads: int) -> Iterator[Consumer]:
    """The file in its program, which is sent the source's stop strings with every request.

    Raises:
        ModelError: that program is not installed, or does not load the file.
    """
    model = file.beside or file.path
    adapter = file.path if file.beside else None
    thinks = has_thinking(source.chat.template)
    if file.path.is_dir():
        with open_transformers(model, adapter=adapter, thinks=thinks, stops=source.stops) as folder:
            yield folder
    else:
        with open_llamacpp(
            model, adapter=adapter, context=source.context, threads=threads, thinks=thinks,
            stops=source.stops,
        ) as served:  # fmt: skip
            yield served
