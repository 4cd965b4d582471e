"""The commands that serve a project's models and what was exported of them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from residency.commands.export_log import LoggedExport

PORT = 8643


@dataclass(frozen=True)
class ServingLine:
    """A command, and what it does."""

    what: str
    command: str


def list_serving_lines(root: str, exports: Sequence[LoggedExport]) -> list[ServingLine]:
    """How to serve: the project itself, then each exported folder that is there.

    Args:
        root: the project's folder as it stands in commands.
    """
    name = shlex.quote(root)
    lines = [
        ServingLine(
            "every model of the project behind OpenAI's API, on this machine",
            f"residency serve {name}",
        ),
        ServingLine(
            "for other machines, whose clients send the key",
            f"RESIDENCY_SERVE_KEY=… residency serve {name} --host 0.0.0.0",
        ),
    ]
    seen: set[Path] = set()
    for export in exports:
        if export.is_there and export.folder not in seen:
            seen.add(export.folder)
            lines += _serve_export(name, export)
    lines.append(
        ServingLine(
            "a first question",
            f"curl http://127.0.0.1:{PORT}/v1/chat/completions -H 'Content-Type: application/json' "
            '-d \'{"model": "final", "messages": [{"role": "user", "content": "Hello"}]}\'',
        )
    )
    return lines


def _serve_export(name: str, export: LoggedExport) -> list[ServingLine]:
    folder = export.folder
    quoted = shlex.quote(str(folder))
    if export.export_format in ("hf", "adapter"):
        what = f"{folder.name} with vLLM: prints the exact command, its files checked"
        return [ServingLine(what, f"residency serve {name} --vllm-command {quoted}")]
    if export.export_format == "ollama":
        command = f"cd {quoted} && ollama create {shlex.quote(folder.name)} -f Modelfile"
        return [ServingLine(f"{folder.name} with Ollama", command)]
    if export.export_format == "gguf-adapter":
        return []  # llama-server needs its base beside it, which the export does not hold
    return [
        ServingLine(
            f"{file.name} with llama.cpp's own server",
            f"residency serve {name} --engine llamacpp --file {shlex.quote(str(file))}",
        )
        for file in sorted(folder.glob("*.gguf"))
    ]
