"""The training step of a round: rows → dataset version → tokens → a model with its adapter stored."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

from residency.config.train import TrainConfig
from residency.data.dataset_versions import make_version
from residency.interfaces import ProgressEvent, TokenRow
from residency.loop.encode_rows import encode_examples, encode_trained_rows
from residency.loop.estimate_error import estimate_against
from residency.loop.extendable_training import copy_kept_training, keep_training, remove_abandoned
from residency.loop.stages import rename_stage, run_stage_once
from residency.nouns.content_id import content_id
from residency.nouns.example import Example
from residency.nouns.model import Model
from residency.project.dev_split import split_dev
from residency.project.step_needs import HasBase, HasSettings
from residency.store.record_kind import RecordKind
from residency.store.stage_key import StageKey, StageName


def fine_tune_base(
    ws: HasBase,
    rows: Sequence[Example],
    *,
    round_: int,
    arm: str,
    parent: str | None,
    note: str,
    kept: bool = False,
    extend: float = 0.0,
    seed: int | None = None,
    stage: str = "",
) -> Model:
    """Train the base on these rows; gives the model, its adapter stored under its content hash.

    Args:
        kept: keep the last checkpoint, so that a later call can extend this training.
        extend: epochs to add to the kept training of the same rows and settings.
        seed: in place of the project's. stage: what progress is told under.

    Raises:
        DataError: no row is left to train on. UserError: there is no training to extend.
    """
    from residency.train.follow_ranks import lead_training
    from residency.train.train_options import TrainOptions

    asked = ws.config.train
    seed = ws.config.project.seed if seed is None else seed
    if extend:
        asked = asked.model_copy(update={"epochs": asked.epochs + extend})
    version = make_version(
        rows, ws.chat_format, settings=data_settings(ws), parent=parent, note=note
    )
    ws.store.add_dataset(version)

    def key_of(settings: TrainConfig, extended: float = 0.0) -> str:
        body: dict[str, Any] = {
            "base": ws.base.identity,
            "dataset": version.id,
            "settings": settings.model_dump(mode="json"),
            "seed": seed,
            "device": ws.config.model.device,
        }
        if extended:  # not what so many epochs from the start would give
            body["extended"] = extended
        return content_id("train", body)

    key = key_of(asked, extend)
    stage = stage or f"round {round_}: train" + (" control" if arm == "control" else "")

    def make() -> dict[str, Any]:
        encoded = encode_trained_rows(ws, rows)
        dev = encode_checkpoint_rows(ws) if ws.config.train.eval_every else []
        folders = ws.store.folder / "work"
        work = folders / key
        if extend:
            copy_kept_training(folders / key_of(ws.config.train), work)
        result = lead_training(
            ws.base.path,
            encoded.rows,
            asked,
            work,
            TrainOptions(
                extend=bool(extend),
                base_name=ws.config.model.base,
                seed=seed,
                threads=ws.config.model.threads,
                device=ws.config.model.device,
                trunk_cache=ws.store.folder / "cache" / "trunk",
                hashes={
                    "data": version.id,
                    "template": ws.chat_format.hash,
                    "tokenizer": ws.chat_format.tokenizer_hash,
                    "base": ws.base.identity,
                },
                dev=dev,
                progress=rename_stage(ws.progress, stage),
                on_event=lambda event: ws.store.add_metrics(key, int(event["step"]), event),
            ),
        )
        for note in result.notes:
            ws.progress(
                ProgressEvent(stage, result.steps, result.steps, "steps", {"trouble": note})
            )
        adapter = ws.store.artifacts.put_folder(result.folder)
        if kept and not extend:
            keep_training(work)
        else:
            shutil.rmtree(work, ignore_errors=True)
        remove_abandoned(folders, ws.store, ws.run_id)
        return {
            "adapter": adapter,
            "training": key,
            "steps": result.steps,
            "tokens": result.tokens,
            "trained_tokens": result.trained_tokens,
            "seconds": result.seconds,
            "memory": result.memory,
            "estimate": estimate_against(ws, result),
            "final_loss": result.losses[-1],
            "dropped": list(encoded.dropped_ids),
            "notes": list(result.notes),
        }

    made = run_stage_once(ws, StageKey(StageName.TRAIN, key), make)
    model = Model(
        base=ws.base.identity,
        adapter=made["adapter"],
        dataset=version.id,
        seed=seed,
        round=round_,
        arm=arm,
        settings={"chat": ws.chat_format.hash, "train": asked.model_dump(mode="json")},
    )
    ws.store.add_model(model)
    ws.store.add_record(RecordKind.TRAINING, model.id, made) if not ws.store.records(
        RecordKind.TRAINING, model.id
    ) else None
    return model


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
