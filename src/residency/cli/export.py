"""``residency export``: a trained model in its final form, with proof on the file itself."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from residency.cli.exit_codes import exit_with
from residency.cli.options import Directory, Json, ModelName, open_project
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import console, print_json, print_line
from residency.text.percent import write_percent

if TYPE_CHECKING:
    from residency.commands.export import ExportResult


def export_command(
    directory: Directory = Path(),
    name: ModelName = "final",
    export_format: Annotated[
        str, typer.Option("--format", help="hf, adapter, gguf, gguf-adapter or ollama.")
    ] = "hf",
    quantise: Annotated[
        str,
        typer.Option(
            help="GGUF: f32, f16, q8_0, q6_k, q5_k_m, q4_k_m, q4_k, q4_1, q4_0; several with commas."
        ),
    ] = "q8_0",
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("export"),
    margin: Annotated[
        float, typer.Option(help="How far an issue's rate may rise in the file, in points.", min=0)
    ] = 5.0,
    grade: Annotated[
        bool, typer.Option(help="Let the file answer the dev items and grade every issue again.")
    ] = True,
    force: Annotated[
        bool, typer.Option(help="Replace a folder that an earlier export wrote.")
    ] = False,
    push: Annotated[
        str, typer.Option(help="Also put it on the hub, as OWNER/NAME; the token is HF_TOKEN's.")
    ] = "",
    public: Annotated[
        bool, typer.Option("--public", help="Make a new repository of --push public.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a model for the program that will use it, and let that program prove the file.

    The file is loaded by stock transformers, PEFT or llama.cpp; tokens, chat template, BOS, stops and
    answers are compared, the dev items are answered by the file, and every issue is graded again. If
    an issue rises by more than the margin, the file is not kept and the exit code is 1.

    A model card and a dataset card lie beside the files; licences of base, data and teacher are told.

    Example: residency export demo --format gguf --quantise f16,q8_0,q4_k_m --out demo-gguf

    Example: residency export demo --out demo-hf --push me/demo
    """
    from residency.commands.export import export

    with ProgressDisplay() as progress:
        result = export(
            open_project(directory, progress), name, out, export_format,
            quantisations=[q.strip() for q in quantise.split(",") if q.strip()],
            margin=margin / 100, grade=grade, force=force, push=push, public=public,
        )  # fmt: skip
    with exit_with(1 if result.failed else 0):
        if as_json:
            print_json(
                json.dumps(
                    {
                        "folder": str(result.folder),
                        "score": result.score,
                        "files": [asdict(row) for row in result.files],
                        "notes": result.notes,
                        "licences": result.licences,
                        "pushed": result.pushed,
                        "failed": result.failed,
                        "written": result.written,
                        "next_step": result.next_step,
                    }
                )
            )
        else:
            _print_table(result)


def _print_table(result: ExportResult) -> None:
    """Size, speed, score and each issue of every file, beside the model itself."""
    table = Table("", "size", "tokens/s", "same text", "score", "issues, before → after")
    if result.score is not None:
        table.add_row("the model itself", "", "", "", write_percent(result.score), "")
    for row in result.files:
        proof = row.proof
        changes = [
            f"{c.title} {write_percent(c.before)} → {write_percent(c.after)} [{100 * c.low:+.1f}, {100 * c.high:+.1f}]"
            for c in row.issues
        ]
        table.add_row(
            row.file,
            f"{row.size / 1e6:.1f} MB",
            f"{proof.speed:.0f}" if proof else "",
            f"{proof.same_text} of {proof.prompts}" if proof else "",
            "" if row.score is None else write_percent(row.score),
            "\n".join([*changes, *(["not kept"] if row.refused else [])]),
        )
    console.print(table)
    for row in result.files:
        if row.refused:
            print_line(f"not kept: {row.file}: {row.refused}", "yellow")
    for note in result.notes:
        console.print(f"note   {note}")
    for sentence in result.licences:
        print_line(f"licence {sentence}")
    if not result.written:
        print_line("Nothing was written: every file was refused.", "red")
        if result.next_step:
            print_line(f"→ {result.next_step}")
        return
    console.print(f"folder {result.folder}")
    if result.pushed:
        print_line(f"pushed {result.pushed}")
