"""What a sweep's jobs do, wherever they run: frozen layers, trainings with their answers, bare bases.

Each works in a separate workspace (``jobs.job_workspace``).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from residency.interfaces import ProgressEvent
from residency.jobs.job import JobContext
from residency.jobs.job_workspace import TRUNK, link_trunk, open_workspace, write_answers
from residency.loop.encode_rows import encode_trained_rows
from residency.loop.fine_tune import fine_tune_base
from residency.loop.replay_rows import mix_replay
from residency.loop.respond import respond
from residency.nouns.example import Example
from residency.nouns.model import Model
from residency.project.named_models import choose_project_shots, register_base_model
from residency.project.workspace import Workspace
from residency.store.record_kind import RecordKind
from residency.sweep.cell import choose_rows

PROBED_ITEMS = 12
"""Items that are answered to learn how long an answer takes."""


def compute_frozen(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """The frozen layers' states of every train row, as an artifact that the trainings share."""
    from residency.train.frozen_layers import compute_frozen_layers

    ws = open_workspace(arguments, context)
    rows = encode_trained_rows(ws, mix_replay(ws, ws.split("train"))).rows
    began = time.monotonic()
    width = compute_frozen_layers(
        ws.base.path,
        rows,
        ws.config.train,
        context.out / TRUNK,
        identity=ws.base.identity,
        threads=ws.config.model.threads,
        device=ws.config.model.device,
        progress=lambda done, of: context.progress(
            ProgressEvent("frozen layers", done, of, "rows")
        ),
    )
    return {"seconds": time.monotonic() - began, "token_bytes": width}


def run_cell(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """One training and its answers to dev; gives the model, and what both took."""
    ws = open_workspace(arguments, context, seed=arguments["seed"])
    if "frozen" in context.needed_files:
        link_trunk(context.needed_files["frozen"] / TRUNK, ws)
    rows = choose_rows(ws.split("train"), arguments["rows"], arguments["seed"])
    with ws.store.writer("sweep"):
        trained = mix_replay(ws, rows)
        model = fine_tune_base(
            ws, trained, round_=1, arm="main", parent=None, note="residency sweep"
        )
    training = ws.store.records(RecordKind.TRAINING, model.id)[-1]
    figures = ("steps", "tokens", "trained_tokens", "seconds", "memory", "final_loss", "notes")
    answering = open_workspace(arguments, context)
    answering.store = ws.store
    del ws
    answers = _answer(answering, model, (), context)
    return {
        "model": asdict(model),
        "rows": len(rows),
        "training": {name: training[name] for name in figures},
        **answers,
    }


def answer_base(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """The bare base's answers to dev, zero-shot or with the project's examples."""
    ws = open_workspace(arguments, context)
    shots = choose_project_shots(ws) if arguments["few_shot"] else []
    with ws.store.writer("sweep"):
        model = register_base_model(ws, shots)
    return {"model": asdict(model), "rows": 0, **_answer(ws, model, shots, context)}


def time_answers(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """Seconds that the bare base takes for an answer, by a few of them."""
    ws = open_workspace(arguments, context)
    dev = ws.split("dev")
    few = dev[:: max(1, len(dev) // PROBED_ITEMS)][:PROBED_ITEMS]
    with ws.store.writer("sweep"):
        model = register_base_model(ws)
        ws.engine.use_adapter(None)
        began = time.monotonic()
        respond(ws, model, few, stage="dev")
    return {"seconds_each": (time.monotonic() - began) / max(1, len(few))}


def _answer(
    ws: Workspace, model: Model, shots: Sequence[Example], context: JobContext
) -> dict[str, Any]:
    dev = ws.split("dev")
    began = time.monotonic()
    responses = respond(ws, model, dev, shots=shots, stage="dev")
    seconds = time.monotonic() - began
    write_answers(context.out, responses)
    return {
        "answers": len(responses),
        "answer_seconds": seconds,
        "answer_tokens": sum(len(response.token_ids) for response in responses),
    }
