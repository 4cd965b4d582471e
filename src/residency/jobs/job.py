"""A piece of work that is named by what determines its result, and that result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from residency.interfaces import Progress, no_progress
from residency.nouns.content_id import content_id


@dataclass(frozen=True)
class Resources:
    """What a job takes while it runs: bytes of memory, CPU threads, GPUs (None: one, where there is any)."""

    memory: int = 0
    threads: int = 1
    gpus: float | None = None


@dataclass(frozen=True)
class Job:
    """A function applied to JSON arguments, files and the results of other jobs.

    Attributes:
        function: ``package.module:name``, called with the arguments and a ``JobContext``.
        arguments: JSON-able; all that decides the result, beside inputs and needs.
        inputs: artifacts by name: content hashes of folders in the job store.
        needs: ids of the jobs that come first, by name.
        place: JSON-able; where things lie and how many threads there are. No part of the id.
        resources: what it takes. title: for people. Neither is a part of the id.
    """

    function: str
    arguments: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    needs: Mapping[str, str] = field(default_factory=dict)
    place: Mapping[str, Any] = field(default_factory=dict)
    resources: Resources = Resources()
    title: str = ""

    @cached_property
    def id(self) -> str:
        """Content hash of what determines the result."""
        return content_id(
            "job",
            {
                "function": self.function,
                "arguments": dict(self.arguments),
                "inputs": dict(self.inputs),
                "needs": dict(self.needs),
            },
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; the inverse of ``from_dict``."""
        return asdict(self)

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Job:
        """A job from its JSON."""
        return Job(**{**raw, "resources": Resources(**raw["resources"])})


@dataclass(frozen=True)
class JobResult:
    """What a job gave: a JSON value, and the content hash of the files that it wrote, if any.

    ``seconds`` is the wall time of the attempt that ended well.
    """

    job: str
    value: Any
    artifact: str = ""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


@dataclass(frozen=True)
class JobContext:
    """What a job's function is given beside its arguments.

    Attributes:
        out: an empty folder; what is written there becomes the job's artifact.
        work: a folder that outlives a killed attempt on this machine: checkpoints go here.
        inputs: artifacts by name, read-only. needs: the results that the job waited for.
        needed_files: the folders of those results, where they wrote files.
        place: see ``Job``. progress: called as the work goes on.
    """

    out: Path
    work: Path
    inputs: Mapping[str, Path] = field(default_factory=dict)
    needs: Mapping[str, JobResult] = field(default_factory=dict)
    needed_files: Mapping[str, Path] = field(default_factory=dict)
    place: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress = no_progress
