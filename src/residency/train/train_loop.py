"""The training loop: one story from rows to an adapter, resumable at any instant."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from residency.config.train import TrainConfig
from residency.files.content_hash import hash_named_files
from residency.interfaces import Progress, ProgressEvent, TokenRow
from residency.model.end_ids import find_trained_ends
from residency.model.load_model import load_model, pick_device, stored_dtype
from residency.train import checkpoint
from residency.train.batch_source import Batches, EpochBatches, as_objective
from residency.train.best_checkpoint import BestCheckpoint, score_folder, score_model
from residency.train.distributed import World, join_world
from residency.train.reporter import STAGE, Reporter
from residency.train.row_checks import check_source, find_end_ids
from residency.train.run_fingerprint import compare_run, make_fingerprint
from residency.train.step_cost import measure_peak_flops, peak_bytes, reset_peak
from residency.train.step_result import StepResult, pick_precision
from residency.train.train_engine import Engine
from residency.train.train_options import TrainOptions
from residency.train.train_result import TrainResult, make_result
from residency.train.trained_model import write_trained_model


def train(
    base: Path,
    rows: Sequence[TokenRow] | Batches,
    settings: TrainConfig,
    out: Path,
    options: TrainOptions | None = None,
) -> TrainResult:
    """Train on rows; the adapter (or the full weights) is then in ``out/adapter``.

    Called again with the same arguments it goes on where it was, however it was ended, and
    on CPU gives the same losses and weights bit for bit; once complete it returns at once.

    Args:
        base: Hugging Face folder. rows: training rows, or a source of batches.
        settings: ``[train]``. out: folder of this run. options: everything else.

    Raises:
        ResumeError: the folder holds a run with other data or settings (they are named).
        DataError, TemplateError: rows that would train nothing, or wrongly.
        TrainingError: a non-finite step; the last checkpoint stays.
    """
    options = options or TrainOptions()
    source = rows if not isinstance(rows, Sequence) else cut_epochs(rows, settings, options.seed)
    fingerprint = make_fingerprint(source, settings, options.seed, options.hashes)
    team = join_world()
    if not options.resume and team.first:
        shutil.rmtree(out, ignore_errors=True)
    team.wait()
    latest = checkpoint.find_latest(out / "checkpoints")
    if latest is not None:
        compare_run(latest[1], fingerprint, out, options.extend)
        if _is_complete(latest[1], source, out, options.extend):
            return make_result(out, latest[1], latest[1].notes)
    team.wait()  # every rank has seen the same checkpoint
    if team.first:
        shutil.rmtree(out / "adapter", ignore_errors=True)

    engine, notes = _load_engine(base, source, settings, options, team)
    state, best_weights = checkpoint.RunState(fingerprint=fingerprint), None
    frozen_seconds = _prepare_frozen_layers(engine, source, options.progress)
    if settings.sharding == "full" and team.size > 1:
        engine.shard_weights()
    if latest is not None:
        path, state = latest
        state.fingerprint, state.finished, state.stopped_early = fingerprint, False, False
        best_weights = checkpoint.restore_checkpoint(path, state, engine)
    state.frozen_seconds += frozen_seconds
    state.notes = notes
    score = _choose_score(engine, source, base, out, state, options)
    best = BestCheckpoint(engine, score, best_weights)
    team.wait()  # every rank has read its checkpoint

    _make_steps(engine, source, state, best, out, options)
    state.finished = True
    checkpoint.save_checkpoint(out / "checkpoints", state, engine, best.weights)
    if best.weights is not None:
        engine.load_weights(best.weights)
    trained = engine.gather_weights()
    if team.first:
        write_trained_model(
            engine,
            base,
            out / "adapter",
            state,
            base_name=options.base_name,
            weights=trained,
            ends=_list_ends(engine, source, base),
        )
    team.wait()
    return make_result(out, state, notes)


def _list_ends(engine: Engine, source: Batches, base: Path) -> tuple[int, ...]:
    """Ids that the rows teach to end an answer."""
    rows = source.rows if isinstance(source, EpochBatches) else ()
    return tuple(find_trained_ends(rows, base, find_end_ids(engine.model)))


def _choose_score(
    engine: Engine,
    source: Batches,
    base: Path,
    out: Path,
    state: checkpoint.RunState,
    options: TrainOptions,
) -> Callable[[], float] | None:
    """What scores the model as it is; None where nothing does."""
    evaluate, evaluate_folder = options.evaluate, options.evaluate_folder
    if evaluate_folder is not None:
        ends = _list_ends(engine, source, base)
        write = partial(write_trained_model, base_name=options.base_name, ends=ends)
        return lambda: score_folder(engine, base, out / "scored", state, evaluate_folder, write)
    if evaluate is not None:
        return lambda: score_model(engine, evaluate)
    dev = as_objective(options.dev, engine.settings.objective)
    return (lambda: -engine.mean_loss(dev)) if dev else None


def _load_engine(
    base: Path, source: Batches, settings: TrainConfig, options: TrainOptions, team: World
) -> tuple[Engine, list[str]]:
    """The model in its engine, rows checked against it; and what the user should know."""
    if options.threads:
        torch.set_num_threads(options.threads)
    device = pick_device(options.device)
    reset_peak(device)
    model = load_base(base, settings, device)
    notes = check_source(source, model, base, settings.objective)
    rows = source.rows if isinstance(source, EpochBatches) else source.batch(0)
    longest = max(max(len(row.ids), len(row.rejected_ids)) for row in rows)
    engine = options.make_engine(
        model,
        settings,
        total_steps=source.steps,
        seed=options.seed,
        trunk=options.trunk_cache,
        longest=longest,
        identity=options.hashes.get("base", "") or folder_identity(base),
        **({"world": team} if team.size > 1 else {}),
    )
    return engine, notes + engine.notes


def _make_steps(
    engine: Engine,
    source: Batches,
    state: checkpoint.RunState,
    best: BestCheckpoint,
    out: Path,
    options: TrainOptions,
) -> None:
    """The steps that are left, with evaluations, reports and checkpoints between them."""
    team, settings = engine.world, engine.settings

    def save() -> None:
        checkpoint.save_checkpoint(out / "checkpoints", state, engine, best.weights)

    peak = measure_peak_flops(str(engine.device), engine.dtype)
    track = settings.track if team.first else ""
    reporter = Reporter(
        source.steps, peak, options.progress, options.on_event, track=track, out=out
    )
    began = time.perf_counter() - state.seconds
    between_steps = True  # what is in memory is then a state that may be stored
    try:
        while state.step < source.steps and not state.stopped_early:
            batch = as_objective(source.batch(state.step), settings.objective)
            between_steps = False
            result = engine.step(batch)
            _count_step(state, result)
            between_steps = True
            state.seconds = time.perf_counter() - began
            last = state.step == source.steps
            best.evaluate_if_due(state, last=last)
            memory = peak_bytes(engine.device)
            state.memory = max(state.memory, memory)
            if team.first:
                reporter.report_step(state, result, memory)
            due = state.step % options.checkpoint_every == 0
            if due and not last and not state.stopped_early:
                save()
    except KeyboardInterrupt:
        if between_steps and team.size == 1:  # several ranks may be at different places
            save()
        raise
    finally:
        reporter.close_tracker()


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


def cut_epochs(rows: Sequence[TokenRow], settings: TrainConfig, seed: int) -> EpochBatches:
    """Rows as the batches of a run."""
    return EpochBatches(list(rows), settings.batch_size, settings.epochs, seed)


def load_base(base: Path, settings: TrainConfig, device: torch.device) -> Any:
    """The model to train: frozen weights in the products' precision, trained ones in fp32.

    Weights that will be split over processes come as they are stored, mapped: ``Engine.shard_weights`` makes
    them wide. Where frozen layers are computed first, that needs them wide at once.
    """
    dtype = torch.float32
    if settings.method == "lora" and device.type == "cuda":
        dtype = pick_precision(settings.precision, device)
    all_layers = settings.method == "full" or settings.layers == "all"
    if (
        settings.sharding == "full"
        and join_world().size > 1
        and device.type == "cpu"
        and all_layers
    ):
        dtype = stored_dtype(base)
    return load_model(
        base,
        dtype=dtype,
        device=device,
        quantize=settings.quantize,
    )


def _count_step(state: checkpoint.RunState, result: StepResult) -> None:
    state.step += 1
    state.losses.append(result.loss)
    state.trained += result.trained
    state.tokens += result.tokens


def folder_identity(base: Path) -> str:
    """``sha256:`` over config and weights of a model folder."""
    return hash_named_files(sorted([base / "config.json", *base.glob("*.safetensors")]))
