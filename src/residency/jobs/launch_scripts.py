"""Scripts that start one training on several machines: an sbatch file, or Kubernetes manifests.

Both start torchrun on every machine; rank 0 runs the command and the others join its trainings
(``train.sharding = "full"`` splits a model that is too big for a device).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from residency.errors import UserError

NAME = re.compile(r"[a-z]([a-z0-9-]{0,50}[a-z0-9])?")
TIME = re.compile(r"(\d+-)?\d{1,3}(:\d{2}){0,2}")
RESTARTS = 3
PORT = 29500
"""Where the machines meet; with Slurm a port of the job's own near it, since jobs may share a node."""
PORTS = 3000


@dataclass(frozen=True)
class Launch:
    """One training on several machines.

    Attributes:
        project: its folder, as every machine sees it. command: ``train`` or ``run``.
        nodes: machines. gpus: of each; 0: one process on the processors of each.
        cpus: of each. memory: of each, as ``64G``; empty: what the scheduler gives.
        time: most wall time, as ``12:00:00``. name: of the job.
        partition, account: of Slurm. image, claim: of Kubernetes: the container, and the volume
            claim that holds the project.
    """

    project: str
    command: str = "train"
    nodes: int = 1
    gpus: int = 1
    cpus: int = 8
    memory: str = ""
    time: str = "12:00:00"
    name: str = "residency"
    partition: str = ""
    account: str = ""
    image: str = ""
    claim: str = ""

    def check(self) -> None:
        """Refuse what would not be a valid script.

        Raises:
            UserError: a value that no scheduler takes.
        """
        faults = {
            "--command": self.command in ("train", "run") or "train or run",
            "--name": bool(NAME.fullmatch(self.name))
            or "small letters, digits and hyphens, a letter first",
            "--time": bool(TIME.fullmatch(self.time) and read_seconds(self.time))
            or "a time as 12:00:00 or 2-00:00:00",
            "--memory": not self.memory
            or bool(re.fullmatch(r"\d+[KMGT]", self.memory))
            or "a size as 64G",
        }
        for option in ("partition", "account", "image", "claim"):
            text = getattr(self, option)
            fine = not text or re.fullmatch(r"[A-Za-z0-9._/:@-]+", text)
            faults[f"--{option}"] = bool(fine) or "letters, digits and . _ / : @ -"
        for option, fault in faults.items():
            if fault is not True:
                raise UserError(f"{fault} is expected", where=option)
        if min(self.nodes, self.cpus) < 1 or self.gpus < 0:
            raise UserError("nodes and cpus count from 1, gpus from 0", where="launch")
        if any(sign in self.project for sign in "\n\r\0"):
            raise UserError("the project's folder has a line break in its name", where="launch")
        if self.image and ":" in self.project:
            raise UserError("Kubernetes mounts no folder with : in its name", where="launch")

    @property
    def processes(self) -> int:
        """Processes of each machine."""
        return max(1, self.gpus)


def write_slurm(launch: Launch) -> str:
    """An sbatch script.

    Raises:
        UserError: see ``Launch.check``.
    """
    launch.check()
    options = {
        "job-name": launch.name,
        "nodes": launch.nodes,
        "ntasks-per-node": 1,
        "cpus-per-task": launch.cpus,
        "gpus-per-node": launch.gpus or "",
        "mem": launch.memory,
        "time": launch.time,
        "partition": launch.partition,
        "account": launch.account,
        "output": f"{launch.name}-%j.log",
        "requeue": None,
        "open-mode": "append",
    }
    lines = ["#!/bin/bash"]
    for name, value in options.items():
        if value is None:
            lines.append(f"#SBATCH --{name}")
        elif value != "":
            lines.append(f"#SBATCH --{name}={value}")
    threads = max(1, launch.cpus // launch.processes)
    project = quote_text(launch.project)
    lines += [
        "",
        "# Submit with: sbatch FILE, where torchrun is found. When it is requeued (a lost node, preemption),",
        "# or submitted again after its time was spent, a training goes on from its last checkpoint.",
        "set -euo pipefail",
        "",
        'mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")',
        f"port=$(({PORT} + SLURM_JOB_ID % {PORTS}))",
        "# From Slurm 22.05 on srun does not take this over from sbatch, and would give one processor.",
        'export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"',
        f"export OMP_NUM_THREADS={threads}",
        "export RAY_USAGE_STATS_ENABLED=0",
        "",
        "srun --kill-on-bad-exit=1 torchrun \\",
        f"  --nnodes {launch.nodes} --nproc-per-node {launch.processes} --max-restarts {RESTARTS} \\",
        '  --rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint "${hosts[0]}:$port" \\',
        f"  -m residency {launch.command} {project}",
    ]
    return "\n".join(lines) + "\n"


def quote_text(text: str) -> str:
    """Text as one word of a shell script, in double quotes, as shellcheck likes it."""
    return '"' + re.sub(r'([\\"$`])', r"\\\1", text) + '"'


def write_kubernetes(launch: Launch) -> str:
    """Manifests (YAML): a headless service, and an indexed job with a pod for each machine.

    Raises:
        UserError: see ``Launch.check``; or no image is named.
    """
    import yaml

    launch.check()
    if not launch.image or not launch.claim:
        raise UserError(
            "a container image with Residency, and the volume claim that holds the project, are needed",
            where="--kubernetes",
            next_step="--image REGISTRY/IMAGE:TAG --claim NAME",
        )
    labels = {"app": launch.name}  # copied where it stands: YAML would write references to one
    pod = {
        "subdomain": launch.name,
        "restartPolicy": "OnFailure",
        "containers": [_describe_container(launch)],
        "volumes": [
            {"name": "project", "persistentVolumeClaim": {"claimName": launch.claim}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory"}},
        ],
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": launch.name, "labels": dict(labels)},
        "spec": {
            "clusterIP": "None",
            "selector": dict(labels),
            "publishNotReadyAddresses": True,  # the pods look for one another before they are ready
            "ports": [{"port": PORT}],
        },
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": launch.name, "labels": dict(labels)},
        "spec": {
            "completionMode": "Indexed",
            "completions": launch.nodes,
            "parallelism": launch.nodes,
            "backoffLimit": RESTARTS * launch.nodes,
            "activeDeadlineSeconds": read_seconds(launch.time),
            "template": {"metadata": {"labels": dict(labels)}, "spec": pod},
        },
    }
    return str(yaml.safe_dump_all([service, job], sort_keys=False))


def read_seconds(text: str) -> int:
    """Seconds of a time as Slurm writes it: ``MM``, ``MM:SS``, ``HH:MM:SS``, ``D-HH[:MM[:SS]]``."""
    days, _, rest = text.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if days:
        parts += [0] * (3 - len(parts))
    elif len(parts) < 3:
        parts = [0, *parts, *([0] if len(parts) == 1 else [])]
    hours, minutes, seconds = parts
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def _describe_container(launch: Launch) -> dict[str, object]:
    """The container of one machine: torchrun, what it may use, and where the project lies."""
    limits: dict[str, object] = {"cpu": str(launch.cpus)}
    if launch.memory:
        limits["memory"] = f"{launch.memory}i"
    if launch.gpus:
        limits["nvidia.com/gpu"] = launch.gpus
    return {
        "name": "training",
        "image": launch.image,
        "command": [
            "torchrun",
            f"--nnodes={launch.nodes}",
            f"--nproc-per-node={launch.processes}",
            f"--max-restarts={RESTARTS}",
            "--rdzv-backend=c10d",
            f"--rdzv-id={launch.name}",
            f"--rdzv-endpoint={launch.name}-0.{launch.name}:{PORT}",
            "-m",
            "residency",
            launch.command,
            launch.project.replace("$(", "$$("),  # Kubernetes reads $(NAME) as a variable
        ],
        "env": [{"name": "OMP_NUM_THREADS", "value": str(max(1, launch.cpus // launch.processes))}],
        "resources": {"limits": limits},
        "volumeMounts": [
            {"name": "project", "mountPath": launch.project},
            {"name": "shared-memory", "mountPath": "/dev/shm"},
        ],
    }
