"""``residency merge``: a trained model as one ordinary folder, with proof."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from residency.cli.steps import Directory, Json, ModelName, opened
from residency.cli.terminal import ProgressDisplay, console, print_json


def merge(
    directory: Directory = Path(),
    name: ModelName = "final",
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("merged"),
    as_json: Json = False,
) -> None:
    """Fold an adapter into its base: one ordinary model folder for any tool or server.

    The folder is loaded again and compared with the adapter: logits and greedy answers on fixed
    probes. If they differ it fails, and leaves nothing.

    Example: residency merge demo --model final --out demo-merged
    """
    from residency.commands.merge import merge as merge_model

    with ProgressDisplay() as progress:
        proof = merge_model(opened(directory, progress), name, out)
    if as_json:
        print_json(json.dumps({"folder": str(out), "proof": asdict(proof)}))
        return
    console.print(f"model  {out}", highlight=False)
    console.print(
        f"proof  logits differ from the adapter's by at most {proof.logits:.1e} (from the bare "
        f"base's by {proof.changed:.2g}); {proof.same_greedy} of {proof.probes} greedy "
        "continuations are the same",
        highlight=False,
    )
