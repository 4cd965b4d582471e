"""What a sweep's jobs do, wherever they run: frozen layers, trainings with their answers, bare bases.

A job opens a workspace in its own work folder, on the rows that lie in its inputs: it needs neither
the project's folder nor its store.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from residency.config.settings import Config
from residency.data.corpus import Corpus
from residency.files.atomic_write import write_json_lines
from residency.interfaces import ProgressEvent
from residency.jobs.job import JobContext
from residency.loop.encode_rows import encode_trained_rows
from residency.loop.fine_tune import fine_tune_base
from residency.loop.respond import respond
from residency.nouns.example import Example
from residency.nouns.model import Model
from residency.nouns.response import Response
from residency.project.named_models import choose_project_shots, register_base_model
from residency.project.workspace import Workspace
from residency.store.record_kind import RecordKind
from residency.sweep.cell import choose_rows

ROWS, ANSWERS, TRUNK = "rows.jsonl", "answers.jsonl", "trunk"
TEMPLATE = "template.jinja"
PROBED_ITEMS = 12
"""Items that are answered to learn how long an answer takes."""


def compute_frozen(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """The frozen layers' states of every train row, as an artifact that the trainings share."""
    from residency.train.frozen_layers import compute_frozen_layers

    ws = open_workspace(arguments, context)
    rows = encode_trained_rows(ws, ws.split("train")).rows
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
        _link_trunk(context.needed_files["frozen"] / TRUNK, ws.store.folder / "cache" / TRUNK)
    rows = choose_rows(ws.split("train"), arguments["rows"], arguments["seed"])
    with ws.store.writer("sweep"):
        model = fine_tune_base(ws, rows, round_=1, arm="main", parent=None, note="residency sweep")
    made = ws.store.records(RecordKind.TRAINING, model.id)[-1]
    figures = ("steps", "tokens", "trained_tokens", "seconds", "memory", "final_loss", "notes")
    answering = open_workspace(arguments, context)
    answering.store = ws.store
    del ws
    answers = _answer(answering, model, (), context)
    return {
        "model": asdict(model),
        "rows": len(rows),
        "training": {name: made[name] for name in figures},
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


def open_workspace(
    arguments: Mapping[str, Any], context: JobContext, *, seed: int | None = None
) -> Workspace:
    """A workspace in the job's work folder, on the rows of its inputs.

    Args:
        seed: of the training. Beside it, all of dev that is there chooses the best step: what
            measures was left out of it (``write_rows``).
    """
    config = Config.model_validate(arguments["config"])
    model = {"base": context.place["base"], "threads": context.place["threads"]}
    template = context.inputs["rows"] / TEMPLATE
    if template.exists():
        model["template"] = str(template)
    config = config.model_copy(update={"model": config.model.model_copy(update=model)})
    rows = read_rows(context.inputs["rows"])
    if seed is not None:
        finding = config.diagnose.model_copy(update={"finding_share": 1.0})
        project = config.project.model_copy(update={"seed": seed})
        config = config.model_copy(update={"diagnose": finding, "project": project})
        rows = [row for row in rows if row.split == "train" or "finds" in row.tags]
    ws = Workspace(context.work, config, full=True, progress=context.progress)
    ws.corpus = Corpus(rows)
    return ws


def write_rows(folder: Path, examples: Sequence[Example], finding: set[str], template: str) -> None:
    """Train and dev as a job's input. A dev row's tags say only whether it may find or choose."""
    rows = []
    for example in examples:
        row = example.to_dict()
        row["tags"] = ["finds"] if example.id in finding else []
        rows.append(row)
    write_json_lines(folder / ROWS, rows)
    if template:
        (folder / TEMPLATE).write_text(template, encoding="utf-8")


def read_rows(folder: Path) -> list[Example]:
    """The inverse of ``write_rows``."""
    with (folder / ROWS).open(encoding="utf-8") as lines:
        return [Example.from_dict(json.loads(line)) for line in lines]


def read_answers(folder: Path) -> list[Response]:
    """The answers that a job wrote."""
    from residency.store.stored_bodies import read_response

    with (folder / ANSWERS).open(encoding="utf-8") as lines:
        return [read_response(json.loads(line)) for line in lines]


def _answer(
    ws: Workspace, model: Model, shots: Sequence[Example], context: JobContext
) -> dict[str, Any]:
    dev = ws.split("dev")
    began = time.monotonic()
    responses = respond(ws, model, dev, shots=shots, stage="dev")
    seconds = time.monotonic() - began
    write_json_lines(context.out / ANSWERS, [asdict(response) for response in responses])
    return {
        "answers": len(responses),
        "answer_seconds": seconds,
        "answer_tokens": sum(len(response.token_ids) for response in responses),
    }


def _link_trunk(source: Path, target: Path) -> None:
    """The shared states where the training looks for them; what it adds stays with it."""
    if source.is_dir() and not target.exists():
        shutil.copytree(source, target, copy_function=_link_or_copy)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or a system without links
        shutil.copy2(source, target)
