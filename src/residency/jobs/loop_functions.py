"""What the jobs of a run do, wherever they run: a training of the loop, and a model's answers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from residency.files.atomic_write import write_json
from residency.jobs.job import JobContext
from residency.jobs.job_workspace import (
    TRUNK,
    link_trunk,
    open_workspace,
    read_answers,
    write_answers,
)
from residency.loop.fine_tune import fine_tune_base
from residency.loop.respond import respond
from residency.nouns.example import Example
from residency.nouns.model import Model
from residency.project.workspace import Workspace
from residency.store.record_kind import RecordKind

ADAPTER, METRICS = "adapter", "metrics.json"


def train_order(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """A training of the loop; its files are the adapter and the metrics of its steps.

    Gives the model, and what the store keeps of its training.
    """
    ws = open_workspace(arguments, context, seed=arguments["project_seed"])
    trunk = context.inputs.get("trunk") or Path(context.place.get("trunk") or "/nowhere")
    link_trunk(trunk / TRUNK, ws)
    with ws.store.writer("run"):
        model = fine_tune_base(
            ws,
            ws.split("train"),
            round_=arguments["round"],
            arm=arguments["arm"],
            parent=arguments["parent"],
            note=arguments["note"],
            seed=arguments["seed"],
            stage=arguments["stage"],
        )
    result = dict(ws.store.records(RecordKind.TRAINING, model.id)[-1])
    result.pop("at", None)  # when this machine wrote it
    assert model.adapter is not None
    shutil.copytree(ws.store.artifacts.folder(model.adapter), context.out / ADAPTER)
    write_json(context.out / METRICS, ws.store.metrics(result["training"]))
    return {"model": asdict(model), "made": result}


def answer_order(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """A model's answers to the rows of the input; its file holds them."""
    ws = open_workspace(arguments, context)
    model, folder = _find_model(arguments, context)
    began = time.monotonic()
    with ws.store.writer("run"):
        if folder is not None:
            ws.store.artifacts.put_folder(folder)
        ws.store.add_model(model)
        draft = _add_drafts(ws, arguments, context)
        shots = [Example.from_dict(raw) for raw in arguments["shots"]]
        stage = arguments["stage"]
        answers = respond(ws, model, ws.corpus.examples, shots=shots, stage=stage, draft=draft)
    write_answers(context.out, answers)
    return {"model": model.id, "answers": len(answers), "seconds": time.monotonic() - began}


def _find_model(arguments: Mapping[str, Any], context: JobContext) -> tuple[Model, Path | None]:
    """The model that answers, and where its weights lie: a training's that came first, or an input."""
    if "training" in context.needs:
        trained = context.needs["training"].value["model"]
        return Model(**trained), context.needed_files["training"] / ADAPTER
    return Model(**arguments["model"]), context.inputs.get("adapter")


def _add_drafts(ws: Workspace, arguments: Mapping[str, Any], context: JobContext) -> Model | None:
    """Another model's answers to the same rows, which may speed these up."""
    if "drafts" not in context.inputs:
        return None
    draft = Model(**arguments["draft"])
    ws.store.add_model(draft)
    ws.store.add_responses(read_answers(context.inputs["drafts"]))
    return draft
