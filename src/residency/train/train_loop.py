"""The training loop: one story from rows to an adapter, resumable at any instant."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from residency.config.train import TrainConfig
from residency.errors import ConfigError
from residency.files.atomic_write import open_draft_folder
from residency.files.content_hash import hash_named_files
from residency.files.write_errors import os_errors
from residency.interfaces import Progress, ProgressEvent, TokenRow, no_progress
from residency.model.load_model import load_model, pick_device, quiet_transformers, stored_dtype
from residency.model.merging import copy_tokenizer
from residency.model.peft_adapter import save_adapter
from residency.train import checkpoint
from residency.train.batch_source import Batches, EpochBatches, as_objective
from residency.train.best_checkpoint import Best
from residency.train.distributed import join_world
from residency.train.loss_curve import write_curve
from residency.train.reporter import STAGE, Reporter
from residency.train.row_checks import check_source
from residency.train.step_cost import measure_peak_flops, peak_bytes, reset_peak
from residency.train.train_engine import Engine, StepResult, pick_precision

CHECKPOINT_EVERY = 20
"""Steps between checkpoints, unless the caller says otherwise."""


@dataclass(frozen=True)
class TrainResult:
    """What a run made.

    Attributes:
        folder: the adapter in PEFT's format, or the full weights.
        steps: optimizer steps done. losses: one a step (nats a trained token).
        trained_tokens, tokens: over all steps. seconds: time spent on steps, evaluations and
            checkpoints. frozen_seconds: time spent on computing the frozen layers before.
        evaluations: (step, score). best_step: 0 when nothing was evaluated.
        stopped_early: by ``early_stopping``. notes: what the user should know.
        memory: most bytes held from loading the model to the last step: by the whole process
            (peak resident set), or on the CUDA device.
    """

    folder: Path
    steps: int
    losses: tuple[float, ...]
    trained_tokens: int
    tokens: int
    seconds: float
    evaluations: tuple[tuple[int, float], ...] = ()
    best_step: int = 0
    stopped_early: bool = False
    notes: tuple[str, ...] = ()
    memory: int = 0
    frozen_seconds: float = 0.0

    @property
    def best_score(self) -> float | None:
        """Score at ``best_step``."""
        return dict(self.evaluations).get(self.best_step)


def train(
    base: Path,
    rows: Sequence[TokenRow] | Batches,
    settings: TrainConfig,
    out: Path,
    *,
    seed: int,
    threads: int = 0,
    device: str = "auto",
    trunk_cache: Path | None = None,
    hashes: Mapping[str, str] | None = None,
    evaluate: Callable[[Any], float] | None = None,
    dev: Sequence[TokenRow] = (),
    progress: Progress = no_progress,
    on_event: Callable[[Mapping[str, float]], None] | None = None,
    resume: bool = True,
    extend: bool = False,
    checkpoint_every: int = CHECKPOINT_EVERY,
    make_engine: Callable[..., Engine] = Engine,
) -> TrainResult:
    """Train on rows; the adapter (or the full weights) is then in ``out/adapter``.

    Called again with the same arguments it goes on where it was, however it was ended, and
    on CPU gives the same losses and weights bit for bit; once complete it returns at once.

    Args:
        base: Hugging Face folder. rows: training rows, or a source of batches.
        settings: ``[train]``. out: folder of this run.
        seed: of shuffling, adapters and dropout. threads: CPU threads, 0 keeps PyTorch's.
        trunk_cache: folder for the frozen trunk's states, shared by runs.
        hashes: identities (base, data, template …) kept with the run and compared on resume.
        evaluate: gets the model every ``eval_every`` steps and at the end; higher is better.
        dev: rows whose negative loss is the score when ``evaluate`` is None.
        make_engine: the engine's class (pretraining brings its own optimizer).
        on_event: metrics of each step. extend: go on with more epochs on purpose.

    Raises:
        ResumeError: the folder holds a run with other data or settings (they are named).
        DataError, TemplateError: rows that would train nothing, or wrongly.
        TrainingError: a non-finite step; the last checkpoint is kept.
    """
    hashes = dict(hashes or {})
    source = rows if not isinstance(rows, Sequence) else _cut_epochs(rows, settings, seed)
    fingerprint = _make_fingerprint(source, settings, seed, hashes)
    team = join_world()
    if not resume and team.first:
        shutil.rmtree(out, ignore_errors=True)
    team.wait()
    found = checkpoint.find_latest(out / "checkpoints")
    if found is not None:
        _compare_fingerprint(found[1], fingerprint, out, extend)
        if _is_complete(found[1], source, out, extend):
            return _make_result(out, found[1], [])
    team.wait()  # every rank has seen the same checkpoint
    if team.first:
        shutil.rmtree(out / "adapter", ignore_errors=True)

    if threads:
        torch.set_num_threads(threads)
    where = pick_device(device)
    reset_peak(where)
    model = load_base(base, settings, where)
    notes = check_source(source, model, base, settings.objective)
    engine = make_engine(
        model,
        settings,
        total_steps=source.steps,
        seed=seed,
        trunk=trunk_cache,
        identity=hashes.get("base", "") or folder_identity(base),
        **({"world": team} if team.size > 1 else {}),
    )
    notes += engine.notes
    frozen_seconds = _prepare_frozen_layers(engine, source, progress)
    if settings.sharding == "full" and team.size > 1:
        engine.shard_weights()
    state, kept = checkpoint.RunState(fingerprint=fingerprint), None
    if found is not None:
        path, state = found
        state.fingerprint, state.finished, state.stopped_early = fingerprint, False, False
        kept = checkpoint.restore_checkpoint(path, state, engine)
    state.frozen_seconds += frozen_seconds
    best = Best(engine, evaluate, dev, kept)
    team.wait()  # every rank has read its checkpoint

    def save() -> None:
        checkpoint.save_checkpoint(out / "checkpoints", state, engine, best.weights)

    peak = measure_peak_flops(str(engine.device), engine.dtype)
    track = settings.track if team.first else ""
    reporter = Reporter(source.steps, peak, progress, on_event, track=track, out=out)
    began = time.perf_counter() - state.seconds
    whole = True  # between steps: what is in memory is a state that may be kept
    try:
        while state.step < source.steps and not state.stopped_early:
            batch = as_objective(source.batch(state.step), settings.objective)
            whole = False
            result = engine.step(batch)
            _count_step(state, result)
            whole = True
            state.seconds = time.perf_counter() - began
            last = state.step == source.steps
            best.look(state, last=last)
            memory = peak_bytes(engine.device)
            state.memory = max(state.memory, memory)
            if team.first:
                reporter.step(state, result, memory)
            if state.step % checkpoint_every == 0 and not last and not state.stopped_early:
                save()
    except KeyboardInterrupt:
        if whole and team.size == 1:  # several ranks may be at different places
            save()
        raise
    finally:
        reporter.end()

    state.finished = True
    save()
    if best.weights is not None:
        engine.load_weights(best.weights)
    trained = engine.gather_weights()
    if team.first:
        _write_model(engine, base, out / "adapter", settings, hashes, trained, state)
    team.wait()
    return _make_result(out, state, notes)


def _is_complete(state: checkpoint.RunState, source: Batches, out: Path, extend: bool) -> bool:
    """Whether a run has nothing left to do."""
    if not (out / "adapter").is_dir():
        return False
    all_done = state.finished and state.step >= source.steps
    return all_done or (state.stopped_early and not extend)


def _prepare_frozen_layers(engine: Engine, source: Batches, progress: Progress) -> float:
    """Compute the frozen layers of all rows that are known beforehand; the seconds it took."""
    began = time.perf_counter()
    if isinstance(source, EpochBatches):
        doing = {"doing": "frozen layers"}
        engine.fill_trunk(
            source.rows,
            lambda done, of: progress(ProgressEvent(STAGE, done, of, "rows", doing)),
        )
    return time.perf_counter() - began


def _cut_epochs(rows: Sequence[TokenRow], settings: TrainConfig, seed: int) -> EpochBatches:
    return EpochBatches(list(rows), settings.batch_size, settings.epochs, seed)


def load_base(base: Path, settings: TrainConfig, device: torch.device) -> Any:
    """The model to train: frozen weights in the products' precision, trained ones in fp32.

    Weights that will be split over processes come as they are stored, mapped: ``Engine.shard`` makes
    them wide. Where frozen layers are computed first, that needs them wide at once.
    """
    dtype = torch.float32
    if settings.method == "lora" and device.type == "cuda":
        dtype = pick_precision(settings.precision, device)
    whole = settings.method == "full" or settings.layers == "all"
    if settings.sharding == "full" and join_world().size > 1 and device.type == "cpu" and whole:
        dtype = stored_dtype(base)
    return load_model(
        base,
        dtype=dtype,
        device=device,
        quantize=settings.quantize,
    )


def _make_fingerprint(
    source: Batches, settings: TrainConfig, seed: int, hashes: Mapping[str, str]
) -> dict[str, Any]:
    result = settings.model_dump(exclude={"track", "sharding"})  # what changes the result
    named = {f"train.{key}": value for key, value in result.items()}
    named |= {f"hash.{key}": value for key, value in hashes.items()}
    return {**named, "rows": source.fingerprint, "seed": seed}


def _compare_fingerprint(
    state: checkpoint.RunState, fingerprint: Mapping[str, Any], out: Path, extend: bool
) -> None:
    kept = dict(state.fingerprint)
    if extend:
        now = float(fingerprint["train.epochs"])
        if now < float(kept["train.epochs"]):
            raise ConfigError(
                f"extend cannot shorten a run of {kept['train.epochs']} epochs to {now}",
                where="train.epochs",
            )
        kept["train.epochs"] = fingerprint["train.epochs"]
    checkpoint.compare_fingerprints(kept, fingerprint, out)


def _count_step(state: checkpoint.RunState, result: StepResult) -> None:
    state.step += 1
    state.losses.append(result.loss)
    state.trained += result.trained
    state.tokens += result.tokens


def _write_model(
    engine: Engine,
    base: Path,
    folder: Path,
    settings: TrainConfig,
    hashes: Mapping[str, str],
    weights: Mapping[str, torch.Tensor] | None,
    state: checkpoint.RunState,
) -> None:
    with open_draft_folder(folder) as draft:
        if settings.method == "lora":
            name = hashes.get("base_name", str(base))
            save_adapter(engine.model, draft, settings, name, weights)
        else:
            with quiet_transformers(), os_errors(folder):
                engine.model.save_pretrained(draft, state_dict=weights)
            copy_tokenizer(base, draft)
        write_curve(draft, state.losses, state.evaluations, state.best_step)


def _make_result(out: Path, state: checkpoint.RunState, notes: Sequence[str]) -> TrainResult:
    return TrainResult(
        folder=out / "adapter",
        steps=state.step,
        losses=tuple(state.losses),
        trained_tokens=state.trained,
        tokens=state.tokens,
        seconds=state.seconds,
        evaluations=tuple(state.evaluations),
        best_step=state.best_step,
        stopped_early=state.stopped_early,
        notes=tuple(notes),
        memory=state.memory,
        frozen_seconds=state.frozen_seconds,
    )


def folder_identity(base: Path) -> str:
    """``sha256:`` over config and weights of a model folder."""
    return hash_named_files(sorted([base / "config.json", *base.glob("*.safetensors")]))
