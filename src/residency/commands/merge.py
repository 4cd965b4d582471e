"""A stored model as one ordinary model folder, with proof that it says the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from residency.errors import UserError
from residency.files.own_folder import check_replaceable
from residency.project.named_models import find_model, require_local
from residency.project.workspace import Workspace

if TYPE_CHECKING:
    from residency.model.merging import MergeProof

__all__ = ["merge"]


def merge(ws: Workspace, name: str, out: Path, *, force: bool = False) -> MergeProof:
    """Write base and adapter of a stored model as one folder that any tool loads.

    The folder is loaded again, and its logits and greedy answers on fixed probes are compared
    with the adapter's. Stock transformers is asked whether generation stops where answers end.

    Args:
        name: ``final``, ``round-N`` or an id. out: the new folder.
        force: replace a folder that an earlier merge wrote, and nothing else.

    Raises:
        UserError: the model has no adapter or was trained on another base, or something else lies at ``out``.
        ParityError: the merged folder does not give the adapter's outputs; nothing is left.
    """
    model = find_model(ws, name)
    require_local(ws, model, "only models of the project's base are merged")
    if not model.adapter:
        raise UserError(
            f"{name} is the base itself: there is nothing to merge",
            where="--model",
            next_step="name a trained model: final, round-1, or an id from residency status",
        )
    check_replaceable(out, force=force)
    from residency.model.merging import merge_adapter

    return merge_adapter(ws.base.path, ws.store.artifacts.folder(model.adapter), out, force=force)
