"""``residency merge``: a trained model as one ordinary folder, with proof."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from residency.cli.options import Directory, Json, ModelName, open_project
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import console, print_json


def merge_command(
    directory: Directory = Path(),
    name: ModelName = "final",
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("merged"),
    force: Annotated[
        bool, typer.Option(help="Replace a folder that an earlier merge wrote.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fold an adapter into its base: one ordinary model folder for any tool or server.

    The folder is loaded again and compared with the adapter: logits and greedy answers on fixed
    probes. If they differ, or if transformers would not stop where answers end, it fails and
    leaves nothing.

    Example: residency merge demo --model final --out demo-merged
    """
    from residency.commands.merge import merge

    with ProgressDisplay() as progress:
        proof = merge(open_project(directory, progress), name, out, force=force)
    if as_json:
        print_json(json.dumps({"folder": str(out), "proof": asdict(proof)}))
        return
    console.print(f"model  {out}")
    console.print(
        f"proof  logits differ from the adapter's by at most {proof.logits:.1e} (from the bare "
        f"base's by {proof.changed:.2g}); {proof.same_greedy} of {proof.probes} greedy "
        "continuations are the same",
    )
    console.print(f"ends   generation stops at {len(proof.ends)} end tokens: {list(proof.ends)}")
