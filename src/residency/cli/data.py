"""``residency data``: dataset versions."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from residency.cli.options import Directory, Json, split_folder
from residency.cli.terminal import console, print_json, print_line, quote_path
from residency.text.counts import write_count
from residency.text.terminal_text import make_safe

app = typer.Typer(help="Dataset versions: list, show, diff, export.", no_args_is_help=True)


@app.command("list")
def list_command(directory: Directory = Path(), as_json: Json = False) -> None:
    """List versions that were trained on, and cleaned ones.

    Example: residency data list demo
    """
    from residency.commands.dataset_versions import list_versions
    from residency.commands.project import Project

    versions = list_versions(Project.open(directory))
    if as_json:
        body = [
            {
                "id": v.version.id,
                "rows": len(v.version.rows),
                "parent": v.version.parent,
                "note": v.version.note,
                "rounds": list(v.rounds),
                "folder": v.folder,
            }
            for v in versions
        ]
        print_json(json.dumps(body, ensure_ascii=False))
        return
    if not versions:
        print_line(f"No dataset version yet. → residency run {quote_path(directory)}")
        return
    table = Table(header_style="bold")
    for name in ("version", "rows", "trained by", "parent", "note"):
        # An id that is cut cannot be typed into the next command.
        table.add_column(
            name,
            justify="right" if name == "rows" else "left",
            no_wrap=name in ("version", "rows"),
            overflow="fold",
        )
    for v in versions:
        origin = ", ".join(v.rounds) or os.path.relpath(v.folder)
        table.add_row(
            v.version.id,
            str(len(v.version.rows)),
            Text(origin),
            v.version.parent or "",
            Text(v.version.note),
        )
    console.print(table)


@app.command("show")
def show_command(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[DIR] VERSION", help="The version: an id, its beginning, a folder."
        ),
    ],
    limit: Annotated[int, typer.Option(min=0, help="Rows shown at most.")] = 5,
    as_json: Json = False,
) -> None:
    """Show a version: its hashes, settings and first rows.

    Example: residency data show demo ds-1a2b
    """
    from residency.commands.dataset_versions import find_version
    from residency.commands.project import Project

    directory, (version,) = split_folder(arguments, ["VERSION"])
    dataset, known = find_version(Project.open(directory), version)
    if as_json:
        body = {
            "id": dataset.id,
            "rows": list(dataset.rows),
            "template_hash": dataset.template_hash,
            "tokenizer_hash": dataset.tokenizer_hash,
            "settings": dict(dataset.settings),
            "parent": dataset.parent,
            "note": dataset.note,
        }
        print_json(json.dumps(body, ensure_ascii=False))
        return
    console.print(
        Text(f"{dataset.id}: {write_count(len(dataset.rows), 'row')}; {dataset.note}", style="bold")
    )
    console.print(
        Text(f"template {dataset.template_hash[:23]}  tokenizer {dataset.tokenizer_hash[:23]}")
    )
    console.print(Text(f"settings {dict(dataset.settings)}"))
    for row in dataset.rows[:limit]:
        example = known.get(row)
        text = f"{example.prompt_text} → {example.reference}" if example else "(not in the store)"
        console.print(Text(f"{row}  {make_safe(' '.join(text.split()))[:100]}", style="dim"))


@app.command("diff")
def diff_command(
    arguments: Annotated[
        list[str],
        typer.Argument(metavar="[DIR] OLD NEW", help="Two versions: ids, beginnings, or folders."),
    ],
    limit: Annotated[int, typer.Option(min=0, help="Added and removed rows shown at most.")] = 5,
    as_json: Json = False,
) -> None:
    """Say what changed between two versions: rows, order, template, tokenizer, settings.

    Example: residency data diff demo ds-1a2b ds-3c4d
    """
    from residency.commands.dataset_versions import diff_versions
    from residency.commands.project import Project

    directory, (old, new) = split_folder(arguments, ["OLD", "NEW"])
    changes, known = diff_versions(Project.open(directory), old, new)
    if as_json:
        print_json(json.dumps(changes.to_dict(), ensure_ascii=False))
        return
    console.print(
        Text(
            f"{changes.old} → {changes.new}: {len(changes.added)} added, {len(changes.removed)} removed, "
            f"{changes.kept} kept{', in another order' if changes.reordered else ''}",
            style="bold",
        )
    )
    for what, changed in (
        ("template", changes.template_changed),
        ("tokenizer", changes.tokenizer_changed),
    ):
        if changed:
            console.print(Text(f"the {what} changed", style="yellow"))
    for name, (before, after) in changes.settings.items():
        console.print(Text(f"{name}: {before!r} → {after!r}", style="yellow"))
    for sign, style, ids in (("+", "green", changes.added), ("-", "red", changes.removed)):
        for row in ids[:limit]:
            example = known.get(row)
            text = make_safe(" ".join(example.prompt_text.split()))[:80] if example else ""
            why = f"  ({example.why})" if example and example.why != "user" else ""
            console.print(Text(f"{sign} {row}  {text}{why}", style=style))
        if len(ids) > limit:
            console.print(Text(f"{sign} … {len(ids) - limit} more", style=style))


@app.command("export")
def export_command(
    arguments: Annotated[
        list[str],
        typer.Argument(metavar="[DIR] VERSION FOLDER", help="A version, and where it is written."),
    ],
    as_json: Json = False,
) -> None:
    """Write a version as Parquet with its manifest.

    Example: residency data export demo ds-1a2b exported
    """
    from residency.commands.dataset_versions import export_version
    from residency.commands.project import Project

    directory, (version, folder) = split_folder(arguments, ["VERSION", "FOLDER"])
    written = str(export_version(Project.open(directory), version, Path(folder)))
    if as_json:
        print_json(json.dumps({"folder": written}))
    else:
        print_line(written)
