"""A stored model as one ordinary model folder, with proof that it says the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from residency.commands.steps import find_model
from residency.errors import UserError
from residency.project.workspace import Workspace

if TYPE_CHECKING:
    from residency.model.merging import Proof

__all__ = ["merge"]


def merge(ws: Workspace, name: str, out: Path) -> Proof:
    """Write base and adapter of a stored model as one folder that any tool loads.

    The folder is loaded again, and its logits and greedy answers on fixed probes are compared
    with the adapter's.

    Args:
        name: ``final``, ``round-N`` or an id. out: the new folder.

    Raises:
        UserError: the model has no adapter, or something else lies at ``out``.
        ParityError: the merged folder does not give the adapter's outputs; nothing is left.
    """
    model = find_model(ws, name)
    if not model.adapter:
        raise UserError(
            f"{name} is the base itself: there is nothing to merge",
            where="--model",
            next_step="name a trained model: final, round-1, or an id from residency status",
        )
    if out.exists() and not (out / "config.json").is_file() and any(out.iterdir()):
        raise UserError(
            "this folder holds something that is not a model",
            where=str(out),
            next_step="name a new folder with --out",
        )
    from residency.model.merging import merge as merge_folder

    return merge_folder(ws.base.path, ws.store.artifacts.folder(model.adapter), out)
