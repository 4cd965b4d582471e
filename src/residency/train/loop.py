"""The training loop: one story from rows to an adapter, resumable at any instant."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from residency.config import TrainConfig
from residency.errors import ConfigError
from residency.model.load import load_model, pick_device, quiet
from residency.model.lora import save_adapter
from residency.model.merging import copy_tokenizer
from residency.train import checkpoint
from residency.train.checks import check_rows, end_ids
from residency.train.curve import write_curve
from residency.train.distributed import world
from residency.train.engine import Engine, StepResult, pick_precision
from residency.train.metrics import ceiling, peak_bytes, reset_peak
from residency.train.trackers import tracker
from residency.types import Progress, ProgressEvent, TokenRow, no_progress

STAGE = "train"


class Batches(Protocol):
    """A source of training rows: the rows of step i, the same on every call.

    Attributes:
        steps: optimizer steps. fingerprint: changes when any batch would.
    """

    steps: int
    fingerprint: str

    def batch(self, step: int) -> Sequence[TokenRow]:
        """Rows of a step (0-based)."""
        ...


class EpochBatches:
    """Rows shuffled anew each epoch (seeded), cut into batches; the last of an epoch may be short."""

    def __init__(self, rows: Sequence[TokenRow], batch_size: int, epochs: float, seed: int) -> None:
        self.rows, self.batch_size, self.seed = rows, batch_size, seed
        self.per_epoch = math.ceil(len(rows) / batch_size)
        self.steps = max(1, math.ceil(epochs * self.per_epoch - 1e-9))
        self.fingerprint = rows_hash(rows)
        self._order: tuple[int, list[int]] = (-1, [])

    def batch(self, step: int) -> list[TokenRow]:
        """Rows of a step (0-based)."""
        epoch, at = divmod(step, self.per_epoch)
        if self._order[0] != epoch:
            generator = np.random.default_rng([self.seed, epoch])
            self._order = (epoch, generator.permutation(len(self.rows)).tolist())
        chosen = self._order[1][at * self.batch_size : (at + 1) * self.batch_size]
        return [self.rows[index] for index in chosen]


@dataclass(frozen=True)
class TrainResult:
    """What a run made.

    Attributes:
        folder: the adapter in PEFT's format, or the full weights.
        steps: optimizer steps done. losses: one a step (nats a trained token).
        trained_tokens, tokens: over all steps. seconds: time spent training.
        evaluations: (step, score). best_step: 0 when nothing was evaluated.
        stopped_early: by ``early_stopping``. notes: what the user should know.
        memory: most bytes held while training (the whole process).
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

    @property
    def best_score(self) -> float | None:
        """Score at ``best_step``."""
        return dict(self.evaluations).get(self.best_step)


def rows_hash(rows: Sequence[TokenRow]) -> str:
    """``sha256:`` of ids, masks and weights, in order."""
    digest = hashlib.sha256()
    for row in rows:
        parts = (row.ids, row.mask, row.weight, row.rejected_ids, row.rejected_mask)
        digest.update(json.dumps(parts).encode())
    return "sha256:" + digest.hexdigest()


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
    checkpoint_every: int = 20,
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
    source = rows if not isinstance(rows, Sequence) else _epochs(rows, settings, seed)
    fingerprint = _fingerprint(source, settings, seed, hashes)
    folder = out / "checkpoints"
    team = world()
    if not resume and team.first:
        shutil.rmtree(out, ignore_errors=True)
    team.wait()
    found = checkpoint.latest(folder)
    if found is not None:
        _compare(found[1], fingerprint, out, extend)
        if found[1].finished and (out / "adapter").is_dir() and found[1].step >= source.steps:
            return _result(out, found[1], [])
        if found[1].stopped_early and not extend and (out / "adapter").is_dir():
            return _result(out, found[1], [])
    team.wait()  # every rank has seen the same checkpoint
    if team.first:
        shutil.rmtree(out / "adapter", ignore_errors=True)

    if threads:
        torch.set_num_threads(threads)
    model = load_base(base, settings, pick_device(device))
    notes = _check(source, model, base, settings)
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
    if isinstance(source, EpochBatches):
        engine.prepare(
            source.rows,
            lambda done, of: progress(
                ProgressEvent(STAGE, done, of, "rows", {"doing": "frozen layers"})
            ),
        )
    if settings.sharding == "full" and team.size > 1:
        engine.shard()
    state = checkpoint.State(fingerprint=fingerprint)
    best: dict[str, torch.Tensor] | None = None
    if found is not None:
        path, state = found
        state.fingerprint, state.finished, state.stopped_early = fingerprint, False, False
        best = checkpoint.restore(path, state, engine)

    team.wait()  # every rank has read its checkpoint

    def save() -> None:
        checkpoint.save(
            folder,
            state,
            engine.weights(),
            engine.optimizer_state(),
            best,
            team=team,
            sharded=engine.sharded is not None,
        )

    end_tracking: Callable[[], None] | None = None
    if settings.track and team.first:
        on_event, end_tracking = _tracked(settings.track, out, on_event)
    peak = ceiling(str(engine.device), engine.dtype)
    reset_peak(engine.device)
    scoring = evaluate is not None or bool(dev)
    began = time.perf_counter()
    before = state.seconds
    whole = True  # between steps: what is in memory is a state that may be kept
    try:
        while state.step < source.steps and not state.stopped_early:
            batch = source.batch(state.step)
            whole = False
            result = engine.step(_as_objective(batch, settings))
            _count(state, result)
            whole = True
            state.seconds = before + time.perf_counter() - began
            last = state.step == source.steps
            if scoring and (
                last or (settings.eval_every and state.step % settings.eval_every == 0)
            ):
                score = _score(engine, evaluate, dev, settings)
                state.evaluations.append((state.step, score))
                known = dict(state.evaluations)
                if state.best_step == 0 or score > known[state.best_step]:
                    state.best_step = state.step
                    best = {name: value.clone() for name, value in engine.weights().items()}
                state.stopped_early = not last and _patience_over(state, settings)
            memory = peak_bytes(engine.device)
            state.memory = max(state.memory, memory)
            if team.first:
                _report(state, result, source.steps, progress, on_event, peak, memory)
            if state.step % checkpoint_every == 0 and not last and not state.stopped_early:
                save()
    except KeyboardInterrupt:
        if whole and team.size == 1:  # several ranks may be at different places
            save()
        raise
    finally:
        if end_tracking is not None:
            end_tracking()

    state.finished = True
    save()
    if best is not None:
        engine.load_weights(best)
    trained = engine.whole_weights()
    if team.first:
        _write_model(engine, base, out / "adapter", settings, hashes, trained, state)
    team.wait()
    return _result(out, state, notes)


def _tracked(
    name: str, out: Path, on_event: Callable[[Mapping[str, float]], None] | None
) -> tuple[Callable[[Mapping[str, float]], None], Callable[[], None]]:
    log, end = tracker(name, out.parent, out.name)

    def both(event: Mapping[str, float]) -> None:
        log(event)
        if on_event is not None:
            on_event(event)

    return both, end


def load_base(base: Path, settings: TrainConfig, device: torch.device) -> Any:
    """The model to train: frozen weights in the products' precision, trained ones in fp32."""
    precision = pick_precision(settings.precision, device)
    narrow = settings.method == "lora" and device.type == "cuda"
    return load_model(
        base,
        dtype=precision if narrow else torch.float32,
        device=device,
        quantize=settings.quantize,
    )


def _epochs(rows: Sequence[TokenRow], settings: TrainConfig, seed: int) -> EpochBatches:
    return EpochBatches(list(rows), settings.batch_size, settings.epochs, seed)


def _fingerprint(
    source: Batches, settings: TrainConfig, seed: int, hashes: Mapping[str, str]
) -> dict[str, Any]:
    result = settings.model_dump(exclude={"track", "sharding"})  # what changes the result
    named = {f"train.{key}": value for key, value in result.items()}
    named |= {f"hash.{key}": value for key, value in hashes.items()}
    return {**named, "rows": source.fingerprint, "seed": seed}


def _compare(
    state: checkpoint.State, fingerprint: Mapping[str, Any], out: Path, extend: bool
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
    checkpoint.compare(kept, fingerprint, out)


def _check(source: Batches, model: Any, base: Path, settings: TrainConfig) -> list[str]:
    config = model.config.get_text_config()
    rows = source.rows if isinstance(source, EpochBatches) else source.batch(0)
    return check_rows(
        _as_objective(rows, settings),
        vocabulary=config.vocab_size,
        longest=getattr(config, "max_position_embeddings", None),
        bos=_bos(base, config),
        ends=end_ids(model) | _turn_ends(base),
        objective=settings.objective,
    )


def _bos(base: Path, config: Any) -> int | None:
    """The beginning token, where it is one of its own (not also the end or padding token)."""
    bos = getattr(config, "bos_token_id", None)
    return None if bos == getattr(config, "eos_token_id", None) else bos


def _turn_ends(base: Path) -> set[int]:
    """Ids of the special tokens that chat templates end a turn with, where the tokenizer has them."""
    try:
        raw = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    names = {"<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|endoftext|>", "</s>"}
    added = raw.get("added_tokens") or []
    return {int(t["id"]) for t in added if t.get("content") in names}


def _as_objective(rows: Sequence[TokenRow], settings: TrainConfig) -> Sequence[TokenRow]:
    """With the objective ``full`` every token is trained."""
    if settings.objective != "full":
        return rows
    return [dataclasses.replace(row, mask=(True,) * len(row.ids)) for row in rows]


def _count(state: checkpoint.State, result: StepResult) -> None:
    state.step += 1
    state.losses.append(result.loss)
    state.trained += result.trained
    state.tokens += result.tokens


def _score(
    engine: Engine,
    evaluate: Callable[[Any], float] | None,
    dev: Sequence[TokenRow],
    settings: TrainConfig,
) -> float:
    """Rank 0's score. Sharded weights are gathered by all ranks together: all of them evaluate."""
    score = 0.0
    if engine.world.first or engine.sharded is not None:
        if evaluate is None:
            score = -engine.loss(_as_objective(dev, settings))
        else:
            with engine.evaluating() as model, torch.no_grad(), quiet():
                score = float(engine.within(evaluate, model))
    return engine.world.agree(score)


def _patience_over(state: checkpoint.State, settings: TrainConfig) -> bool:
    since = sum(step > state.best_step for step, _ in state.evaluations)
    return bool(settings.early_stopping) and since >= settings.early_stopping


def _report(
    state: checkpoint.State,
    result: StepResult,
    total: int,
    progress: Progress,
    on_event: Callable[[Mapping[str, float]], None] | None,
    peak: float,
    memory: int,
) -> None:
    speed = result.tokens / max(result.seconds, 1e-9)
    left = state.seconds / state.step * (total - state.step)
    progress(
        ProgressEvent(
            STAGE, state.step, total, "steps", {"loss": result.loss, "tokens/s": round(speed)}
        )
    )
    if on_event is None:
        return
    event = {
        "step": float(state.step),
        "loss": result.loss,
        "grad_norm": result.grad_norm,
        "learning_rate": result.learning_rate,
        "tokens_per_second": speed,
        "trained_tokens_per_second": result.trained / max(result.seconds, 1e-9),
        "model_flop_utilisation": result.flops / max(result.seconds, 1e-9) / peak,
        "memory_bytes": float(memory),
        "seconds_left": left,
    }
    if state.evaluations and state.evaluations[-1][0] == state.step:
        event["score"] = state.evaluations[-1][1]
    on_event(event)


def _write_model(
    engine: Engine,
    base: Path,
    folder: Path,
    settings: TrainConfig,
    hashes: Mapping[str, str],
    weights: Mapping[str, torch.Tensor] | None,
    state: checkpoint.State,
) -> None:
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    if settings.method == "lora":
        name = hashes.get("base_name", str(base))
        save_adapter(engine.model, temporary, settings, name, weights)
    else:
        with quiet():
            engine.model.save_pretrained(temporary, state_dict=weights)
        copy_tokenizer(base, temporary)
    write_curve(temporary, state.losses, state.evaluations, state.best_step)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)


def _result(out: Path, state: checkpoint.State, notes: Sequence[str]) -> TrainResult:
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
    )


def folder_identity(base: Path) -> str:
    """``sha256:`` over config and weights of a model folder."""
    digest = hashlib.sha256()
    for file in sorted([base / "config.json", *base.glob("*.safetensors")]):
        digest.update(file.name.encode())
        with file.open("rb") as handle:
            while block := handle.read(1 << 22):
                digest.update(block)
    return "sha256:" + digest.hexdigest()
