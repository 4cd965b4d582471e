"""The training step of a round: rows → dataset version → tokens → a model with its adapter stored."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from residency.config.train import TrainConfig
from residency.data.dataset_versions import make_version
from residency.interfaces import ProgressEvent, TokenRow
from residency.loop.encode_rows import encode_examples, encode_trained_rows
from residency.loop.estimate_error import estimate_against
from residency.loop.extendable_training import copy_kept_training, keep_training, remove_abandoned
from residency.loop.metric_while_training import hold_out_rows, make_metric
from residency.loop.stages import rename_stage, run_stage_once
from residency.model.free_memory import release_memory
from residency.nouns.content_id import content_id
from residency.nouns.dataset_version import DatasetVersion
from residency.nouns.example import Example
from residency.nouns.model import Model
from residency.project.dev_split import split_dev
from residency.project.step_needs import HasAnswers, HasBase, HasSettings
from residency.store.record_kind import RecordKind
from residency.store.stage_key import StageKey, StageName

if TYPE_CHECKING:
    from residency.train.train_options import TrainOptions


@dataclass(frozen=True)
class _Training:
    """One training as an order: rows in a stored version, settings, seed, and its name."""

    rows: Sequence[Example]
    version: DatasetVersion
    settings: TrainConfig
    seed: int
    stage: str
    keeps: bool
    extend: float

    def key(self, ws: HasBase, *, before: bool = False) -> str:
        """Content id of all that decides the result; ``before``: of the training it extends."""
        settings = self.settings
        if before:
            settings = settings.model_copy(update={"epochs": ws.config.train.epochs})
        body: dict[str, Any] = {
            "base": ws.base.identity,
            "dataset": self.version.id,
            "settings": settings.name_what_decides(),
            "seed": self.seed,
            "device": ws.config.model.device,
        }
        if self.extend and not before:  # not what so many epochs from the start would give
            body["extended"] = self.extend
        return content_id("train", body)


def fine_tune_base(
    ws: HasAnswers,
    rows: Sequence[Example],
    *,
    round_: int,
    arm: str,
    parent: str | None,
    note: str,
    extendable: bool = False,
    extend: float = 0.0,
    seed: int | None = None,
    stage: str = "",
) -> Model:
    """Train the base on these rows; gives the model, its adapter stored under its content hash.

    Args:
        extendable: keep the last checkpoint, so that a later call can extend this training.
        extend: epochs to add to the saved training of the same rows and settings.
        seed: instead of the project's. stage: what progress is told under.

    Raises:
        DataError: no row is left to train on. UserError: there is no training to extend.
    """
    training = _describe_training(
        ws,
        rows,
        parent=parent,
        note=note,
        seed=seed,
        stage=stage or f"round {round_}: train" + (" control" if arm == "control" else ""),
        keeps=extendable and not extend,
        extend=extend,
    )
    version, settings = training.version, training.settings
    ws.store.add_dataset(version)
    key = StageKey(StageName.TRAIN, training.key(ws))
    result = run_stage_once(ws, key, lambda: _train_and_store(ws, training))
    model = Model(
        base=ws.base.identity,
        adapter=result["adapter"],
        dataset=version.id,
        seed=training.seed,
        round=round_,
        arm=arm,
        settings={"chat": ws.chat_format.hash, "train": settings.name_what_decides()},
    )
    ws.store.add_model(model)
    if not ws.store.records(RecordKind.TRAINING, model.id):
        ws.store.add_record(RecordKind.TRAINING, model.id, result)
    return model


def name_training(
    ws: HasAnswers, rows: Sequence[Example], *, parent: str | None, note: str, seed: int | None
) -> StageKey:
    """The stage under which ``fine_tune_base`` keeps this training; nothing is trained."""
    training = _describe_training(ws, rows, parent=parent, note=note, seed=seed)
    return StageKey(StageName.TRAIN, training.key(ws))


def _describe_training(
    ws: HasAnswers,
    rows: Sequence[Example],
    *,
    parent: str | None,
    note: str,
    seed: int | None,
    stage: str = "",
    keeps: bool = False,
    extend: float = 0.0,
) -> _Training:
    """Rows in a version, settings and seed of a training."""
    rows = hold_out_rows(ws, rows)
    version = make_version(
        rows, ws.chat_format, settings=data_settings(ws), parent=parent, note=note
    )
    return _Training(
        rows,
        version,
        _choose_settings(ws, rows, extend),
        seed=ws.config.project.seed if seed is None else seed,
        stage=stage,
        keeps=keeps,
        extend=extend,
    )


def _choose_settings(ws: HasSettings, rows: Sequence[Example], extend: float) -> TrainConfig:
    """The training's settings; a metric is measured once an epoch where no other number is given."""
    settings = ws.config.train
    changed: dict[str, Any] = {"epochs": settings.epochs + extend} if extend else {}
    if settings.metric and not settings.eval_every:
        changed["eval_every"] = math.ceil(len(rows) / settings.batch_size)
    return settings.model_copy(update=changed) if changed else settings


def _train_and_store(ws: HasAnswers, training: _Training) -> dict[str, Any]:
    """Train in a work folder, put the adapter into the store, and say what it took."""
    from residency.train.follow_ranks import lead_training

    encoded = encode_trained_rows(ws, training.rows)
    folders = ws.store.folder / "work"
    work = folders / training.key(ws)
    if training.extend:
        copy_kept_training(folders / training.key(ws, before=True), work)
    options = _choose_options(ws, training)
    result = lead_training(ws.base.path, encoded.rows, training.settings, work, options)
    release_memory()
    for trouble in result.notes:
        ws.progress(
            ProgressEvent(training.stage, result.steps, result.steps, "steps", {"trouble": trouble})
        )
    adapter = ws.store.artifacts.put_folder(result.folder)
    if training.keeps:
        keep_training(work)
    else:
        shutil.rmtree(work, ignore_errors=True)
    remove_abandoned(folders, ws.store, ws.run_id)
    return {
        "adapter": adapter,
        "training": training.key(ws),
        "steps": result.steps,
        "tokens": result.tokens,
        "trained_tokens": result.trained_tokens,
        "seconds": result.seconds,
        "memory": result.memory,
        "estimate": estimate_against(ws, result),
        "final_loss": result.losses[-1],
        "evaluations": [list(pair) for pair in result.evaluations],
        "best_step": result.best_step,
        "dropped": list(encoded.dropped_ids),
        "notes": list(result.notes),
    }


def _choose_options(ws: HasAnswers, training: _Training) -> TrainOptions:
    """What the training loop is told beside rows and settings."""
    from residency.train.train_options import TrainOptions

    key, score = training.key(ws), make_metric(ws)
    return TrainOptions(
        extend=bool(training.extend),
        base_name=ws.config.model.base,
        seed=training.seed,
        threads=ws.config.model.threads,
        device=ws.config.model.device,
        trunk_cache=ws.store.folder / "cache" / "trunk",
        hashes={
            "data": training.version.id,
            "template": ws.chat_format.hash,
            "tokenizer": ws.chat_format.tokenizer_hash,
            "base": ws.base.identity,
        },
        evaluate_folder=score,
        dev=encode_checkpoint_rows(ws) if training.settings.eval_every and not score else [],
        progress=rename_stage(ws.progress, training.stage),
        on_event=lambda event: ws.store.add_metrics(key, int(event["step"]), event),
    )


def encode_checkpoint_rows(ws: HasBase) -> Sequence[TokenRow]:
    """Rows whose loss chooses the best step: the part of dev that finds errors.

    The part that measures chooses nothing, or its figures would flatter the chosen step.
    """
    finding, _ = split_dev(ws)
    return encode_examples(ws, [row for row in ws.split("dev") if row.id in finding]).rows


def data_settings(ws: HasSettings) -> dict[str, Any]:
    """Settings that decide what a row becomes."""
    return {
        "max_length": ws.config.model.max_length,
        "truncation": ws.config.data.truncation,
        "instruction": ws.config.data.instruction,
    }
