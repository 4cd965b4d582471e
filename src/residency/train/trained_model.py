"""The trained model as a folder: an adapter or full weights, with the losses of its steps beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from residency.files.atomic_write import open_draft_folder, write_json
from residency.files.write_errors import raise_os_errors
from residency.model.end_ids import find_leaving_ends, write_ends
from residency.model.merging import copy_tokenizer
from residency.model.peft_adapter import save_adapter
from residency.model.quiet_libraries import quiet_libraries
from residency.train.checkpoint import RunState
from residency.train.train_engine import Engine

LOSSES = "loss.json"
"""Losses (nats a trained token) of each step, evaluations and the best step."""


def write_trained_model(
    engine: Engine,
    base: Path,
    folder: Path,
    state: RunState,
    *,
    base_name: str = "",
    weights: Mapping[str, Tensor] | None = None,
    ends: Sequence[int] = (),
) -> None:
    """Write ``folder``, whole or not at all; ``weights`` as in ``save_adapter``.

    ``ends``: ids that the rows taught to end an answer; declared in what is written.
    """
    with open_draft_folder(folder) as draft:
        if engine.settings.method == "lora":
            save_adapter(engine.model, draft, engine.settings, base_name or str(base), weights)
            write_ends(draft, ends)
        else:
            with quiet_libraries(), raise_os_errors(folder):
                engine.model.save_pretrained(draft, state_dict=weights)
            copy_tokenizer(base, draft)
            write_ends(draft, list(dict.fromkeys([*ends, *find_leaving_ends(base)])))
        losses = {
            "losses": state.losses,
            "evaluations": [list(pair) for pair in state.evaluations],
            "best_step": state.best_step,
        }
        write_json(draft / LOSSES, losses)
