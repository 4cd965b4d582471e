"""``residency launch``: one training on several machines, by Slurm or Kubernetes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from residency.cli.options import Directory, Json
from residency.cli.terminal import print_json, print_line, quote_path
from residency.errors import UserError


def launch_command(
    directory: Directory = Path(),
    slurm: Annotated[bool, typer.Option("--slurm", help="An sbatch script.")] = False,
    kubernetes: Annotated[
        bool, typer.Option("--kubernetes", help="Manifests: a service and an indexed job.")
    ] = False,
    nodes: Annotated[int, typer.Option(min=1, help="Machines.")] = 1,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs of each; 0: its processors.")] = 1,
    cpus: Annotated[int, typer.Option(min=1, help="Processors of each.")] = 8,
    memory: Annotated[str, typer.Option(help="Memory of each, e.g. 64G.")] = "",
    time: Annotated[str, typer.Option(help="Most wall time: 12:00:00, 2-00:00:00.")] = "12:00:00",
    command: Annotated[
        Literal["train", "run"], typer.Option(help="What the machines do together.")
    ] = "train",
    name: Annotated[str, typer.Option(help="Of the job.")] = "residency",
    partition: Annotated[str, typer.Option(help="Slurm's partition.")] = "",
    account: Annotated[str, typer.Option(help="Slurm's account.")] = "",
    image: Annotated[str, typer.Option(help="Kubernetes: a container with Residency.")] = "",
    claim: Annotated[str, typer.Option(help="Kubernetes: volume claim of the project.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="Write to this file; else it is printed.")
    ] = None,
    as_json: Json = False,
) -> None:
    """A script for one training that is too big for a device: torchrun on every machine.

    Nothing is submitted. The folder must be the same on every machine.

    Example: residency launch demo --slurm --nodes 2 --gpus 8 --out train.sbatch

    Example: residency launch demo --kubernetes --nodes 2 --image shop/residency:1 --claim demo
    """
    from residency.commands.launch import launch
    from residency.jobs.launch_scripts import Launch

    if slurm == kubernetes:
        raise UserError(
            "one scheduler is expected", where="launch", next_step="--slurm or --kubernetes"
        )
    settings = Launch(
        project=str(directory.resolve()),
        command=command,
        nodes=nodes,
        gpus=gpus,
        cpus=cpus,
        memory=memory,
        time=time,
        name=name,
        partition=partition,
        account=account,
        image=image,
        claim=claim,
    )
    text = launch("slurm" if slurm else "kubernetes", settings, out)
    if as_json:
        print_json(json.dumps({"script": text, "file": str(out) if out else None}))
    elif out is None:
        typer.echo(text, nl=False)
    else:
        tool = "sbatch" if slurm else "kubectl apply -f"
        print_line(f"Written. Next: {tool} {quote_path(out)}")
