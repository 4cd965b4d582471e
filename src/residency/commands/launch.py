"""``residency launch``: a script that starts one training on several machines."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from residency.errors import UserError
from residency.files.atomic_write import write_text
from residency.jobs.launch_scripts import Launch, write_kubernetes, write_slurm

Scheduler = Literal["slurm", "kubernetes"]


def launch(scheduler: Scheduler, settings: Launch, out: Path | None = None) -> str:
    """The script's text, written to ``out`` where one is named. Nothing is submitted.

    Raises:
        UserError: a value that no scheduler takes, or the file cannot be written.
    """
    text = write_slurm(settings) if scheduler == "slurm" else write_kubernetes(settings)
    if out is not None:
        try:
            write_text(out, text)
        except OSError as error:
            raise UserError(
                f"the script cannot be written: {error.strerror}",
                where=str(out),
                next_step="name another file with --out",
            ) from None
    return text
