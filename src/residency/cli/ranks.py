"""A command that ``torchrun`` started on several processes.

torchrun --nproc-per-node 2 -m residency train demo
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from residency.errors import UserError

RANKED_COMMANDS = ("train", "run")
"""What may run on several processes: the commands that train on a project's rows."""


def count_processes() -> int:
    """How many processes torchrun made of this command; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def run_on_ranks(name: str, call: Callable[[], Any]) -> None:
    """On rank 0 the command itself; on the others, its trainings.

    Raises:
        UserError: the command is of one process.
    """
    if name not in RANKED_COMMANDS:
        raise UserError(
            f"residency {name} runs as one process",
            where="torchrun",
            next_step=f"only these train on several: {', '.join(RANKED_COMMANDS)}",
        )
    from residency.train.follow_ranks import dismiss_followers, follow_trainings

    if int(os.environ.get("RANK", "0")) > 0:
        follow_trainings()
        return
    try:
        call()
    except SystemExit as end:
        if end.code:  # torchrun ends the others, and starts all again where it was told to
            raise
    dismiss_followers()
