"""``residency pretrain``: raw text to a base model, or more pretraining of an existing one.

The loop is the one that fine-tunes (``residency.train``). What is particular to pretraining is
settled here: the model to start from, token files, and what is recorded at the end.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from residency.config.train import TrainConfig
from residency.errors import ConfigError, ModelError, ResidencyError, ResumeError, StoreError
from residency.files.atomic_write import open_draft_folder, write_json
from residency.files.write_errors import os_errors
from residency.interfaces import Progress, ProgressEvent, no_progress
from residency.pretraining.documents import Corpus, split_documents, text_stamps
from residency.pretraining.held_out_text import HeldOutText
from residency.pretraining.packed_batches import PackedBatches
from residency.pretraining.recipe import PretrainConfig, corpora_of, load_recipe, recipe_for
from residency.pretraining.token_files import TokenFile, token_file
from residency.pretraining.tokenizer import tokenizer_sample, train_tokenizer

__all__ = [
    "PretrainConfig",
    "PretrainResult",
    "load_recipe",
    "pretrain",
    "recipe_for",
    "snapshot",
]


@dataclass(frozen=True)
class PretrainResult:
    """What a run made.

    Attributes:
        folder: the model, loadable by ``AutoModelForCausalLM`` and ``AutoTokenizer``.
        parameters, tokens, steps, seconds: of the run.
        bits_per_byte: on held-out text, by corpus; ``before``: the same before the first step
            (only with ``--from``). notes: what the user should know.
    """

    folder: Path
    parameters: int
    tokens: int
    steps: int
    seconds: float
    bits_per_byte: Mapping[str, float]
    before: Mapping[str, float]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**asdict(self), "folder": str(self.folder), "notes": list(self.notes)}


def pretrain(
    recipe: PretrainConfig,
    out: Path,
    *,
    start: str = "",
    others: Sequence[Path] = (),
    threads: int = 0,
    device: str = "auto",
    progress: Progress = no_progress,
    say: Callable[[str], None] = lambda line: None,
) -> PretrainResult:
    """Train on raw text; the model is then in ``out/model``.

    The same call goes on where an interrupted one was. What was tokenised is kept and reused.

    Args:
        start: a base model to go on from (domain adaptation); empty trains a tokenizer and a
            model from nothing.
        others: text that is only measured: what does the model forget elsewhere?

    Raises:
        ConfigError, DataError: a wrong recipe; empty, binary or too little text.
        ResumeError: ``out`` holds a run of another recipe. StoreError: the disk is full.
        TrainingError: a non-finite step; the last checkpoint is kept.
    """
    if not recipe.corpus:
        raise ConfigError(
            "no text to train on", next_step="give --text DIR, or [[corpus]] entries in the recipe"
        )
    if recipe.run.method == "lora" and not start:
        raise ConfigError(
            "an adapter needs a model to adapt",
            where="run.method",
            next_step='use --from MODEL, or method = "full"',
        )
    try:
        with os_errors(out):
            out.mkdir(parents=True, exist_ok=True)
            return _Run(recipe, out, start, others, threads, device, progress, say).go()
    except OSError as error:
        raise _cannot_write(error, out) from error


def _cannot_write(error: OSError, out: Path) -> Exception:
    """A failed write in the user's words, what it left half-written removed.

    Errors of ours that are OSErrors too stay what they are.
    """
    if isinstance(error, ResidencyError):
        return error
    for half in (*out.glob(".model.draft-*"), *(out / "tokens").glob(".*.draft-*")):
        shutil.rmtree(half, ignore_errors=True)
    return StoreError(
        f"cannot write: {error.strerror or error}",
        where=str(out),
        next_step="free some space and run the same command: the last checkpoint is kept",
    )


def snapshot(recipe: PretrainConfig, out: Path, *, start: str = "", device: str = "auto") -> Path:
    """The model of an interrupted run's last checkpoint, in ``out/model``; nothing is trained.

    With a constant learning rate this is the model of a run of just so many steps.

    Raises:
        ResumeError: there is no checkpoint. StoreError: the disk is full.
    """
    from transformers import AutoTokenizer

    from residency.train import checkpoint

    found = checkpoint.find_latest(out / "checkpoints")
    if found is None:
        raise ResumeError("no checkpoint here yet", where=str(out))
    run = _Run(recipe, out, start, (), 0, device, no_progress, lambda line: None)
    base, _ = run.base()
    run.tokenizer = AutoTokenizer.from_pretrained(base)
    model = _load(base, device)
    weights = checkpoint.read_tensors(found[0], "weights")
    for name, parameter in model.named_parameters():
        parameter.data.copy_(weights[name])
    try:
        with os_errors(out):
            return run.save(model)
    except OSError as error:
        raise _cannot_write(error, out) from error


class _Run:
    """One run: prepare, train, measure, record."""

    def __init__(
        self,
        recipe: PretrainConfig,
        out: Path,
        start: str,
        others: Sequence[Path],
        threads: int,
        device: str,
        progress: Progress,
        say: Callable[[str], None],
    ) -> None:
        self.recipe, self.out, self.start, self.others = recipe, out, start, others
        self.threads, self.device = threads, device
        self.progress, self.say = progress, say
        self.corpora = corpora_of(recipe)
        self.notes: list[str] = []

    def go(self) -> PretrainResult:
        from transformers import AutoTokenizer

        from residency.pretraining.pretrain_engine import make_engine_class

        run = self.recipe.run
        base, identity = self.base()
        self.tokenizer = AutoTokenizer.from_pretrained(base)
        files = [self._tokens(corpus, held_out=False) for corpus in self.corpora]
        held = HeldOutText.of(
            self.corpora,
            self.others,
            lambda corpus: self._tokens(corpus, held_out=True),
            self.tokenizer,
            run,
        )
        steps = max(1, run.tokens // run.batch_tokens)
        batches = PackedBatches(
            files,
            [corpus.share for corpus in self.corpora],
            context=run.context,
            batch_tokens=run.batch_tokens,
            steps=steps,
            seed=run.seed,
        )
        self._describe(files, batches)
        before = held.before(base, identity, self.out, self.device) if self.start else {}
        from residency.train.train_loop import train

        def measure(model: Any) -> float:
            """The score of a checkpoint: minus the mean bits per byte over what is trained on."""
            found = held.bits(model)
            self.say("held out: " + ", ".join(f"{k} {v:.4f} bits/byte" for k, v in found.items()))
            self._write("held-out.jsonl", {"bits_per_byte": found})
            if run.samples:
                self._write("samples.jsonl", held.samples(model))
            own = [found[c.name] for c in self.corpora if c.name in found]
            return -sum(own) / len(own) if own else -math.inf

        result = train(
            base,
            batches,
            self._settings(steps),
            self.out,
            seed=run.seed,
            threads=self.threads,
            device=self.device,
            hashes={"base": identity, "data": batches.fingerprint},
            evaluate=measure,
            progress=self.progress,
            on_event=self._event,
            checkpoint_every=run.checkpoint_every,
            make_engine=make_engine_class(run.muon_rate if run.method == "full" else 0.0),
        )
        folder, parameters, after = self._export(base, result.folder, held)
        record = PretrainResult(
            folder,
            parameters,
            result.tokens,
            result.steps,
            result.seconds,
            after,
            before,
            (*self.notes, *result.notes),
        )
        self._record(record, files, batches)
        return record

    # --- before training -------------------------------------------------------------------

    def base(self) -> tuple[Path, str]:
        """The folder to start from, and its identity."""
        if self.start:
            from residency.model.base_model import resolve_base

            base = resolve_base(self.start, progress=self.progress)
            return base.path, base.identity
        from residency.model.load_model import quiet_transformers
        from residency.pretraining.fresh_model import Shape, new_model

        folder = self.out / "start"
        shape = Shape(**self.recipe.model.model_dump())
        made = {
            "tokenizer": self.recipe.tokenizer.model_dump(),
            "model": self.recipe.model.model_dump(),
            "seed": self.recipe.run.seed,
            "text": text_stamps(self.corpora),
        }
        key = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()
        done = folder / "made.json"
        if not (done.is_file() and json.loads(done.read_text())["key"] == key):
            shutil.rmtree(folder, ignore_errors=True)
            self.progress(ProgressEvent("tokenizer", 0, 1, "tokenizer"))
            sample = tokenizer_sample(self.corpora, self.recipe.tokenizer.sample_characters)
            train_tokenizer(sample, self.recipe.tokenizer.vocab_size, self.out / "tokenizer")
            self.progress(ProgressEvent("tokenizer", 1, 1, "tokenizer"))
            with quiet_transformers():
                new_model(self.out / "tokenizer", shape, folder, seed=self.recipe.run.seed)
            done.write_text(json.dumps({"key": key}), encoding="utf-8")
        return folder, f"fresh@sha256:{key}"

    def _tokens(self, corpus: Corpus, *, held_out: bool) -> TokenFile:
        backend = self.tokenizer.backend_tokenizer
        parts = [text_stamps([corpus]), backend.to_str(), held_out]
        key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        kind = "held-out" if held_out else "train"
        end = self.tokenizer.eos_token_id
        if end is None:
            raise ModelError("the tokenizer has no end token to end documents with")
        return token_file(
            split_documents(corpus, held_out=held_out),
            backend,
            int(end),
            self.out / "tokens" / f"{corpus.name}-{kind}",
            key,
            progress=self.progress,
        )

    def _describe(self, files: Sequence[TokenFile], batches: PackedBatches) -> None:
        context = self.recipe.run.context
        for corpus, file, epochs in zip(self.corpora, files, batches.epochs, strict=True):
            lengths = file.offsets[1:] - file.offsets[:-1]
            long = int((lengths > context).sum())
            self.say(
                f"{corpus.name}: {len(lengths)} documents, {len(file.tokens)} tokens, "
                f"{file.text_bytes / len(file.tokens):.2f} bytes a token, {epochs:.2f} passes"
            )
            if long:
                self.notes.append(
                    f"{corpus.name}: {long} of {len(lengths)} documents are longer than the "
                    f"context of {context} tokens and are cut into pieces"
                )

    def _settings(self, steps: int) -> TrainConfig:
        run = self.recipe.run
        return TrainConfig(
            method=run.method,
            rank=run.rank,
            alpha=2.0 * run.rank,
            layers="all",
            learning_rate=run.learning_rate,
            schedule=run.schedule,
            warmup=min(1.0, run.warmup_steps / steps),
            weight_decay=run.weight_decay,
            objective="full",
            precision=run.precision,
            micro_tokens=run.micro_tokens,
            eval_every=run.eval_every,
        )

    # --- while training ----------------------------------------------------------------------

    def _event(self, event: Mapping[str, float]) -> None:
        if event["step"] % 10 == 0 or "score" in event:
            self._write("log.jsonl", dict(event))

    def _write(self, name: str, row: Mapping[str, Any]) -> None:
        with (self.out / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

    # --- afterwards ---------------------------------------------------------------------------

    def _export(
        self, base: Path, trained: Path, held: HeldOutText
    ) -> tuple[Path, int, dict[str, float]]:
        """The model in the wished format, in a folder of its own, measured as saved.

        An adapter stays where training wrote it and is measured on its base.
        """
        if self.recipe.run.method == "lora":
            adapted = _load(base, self.device, trained)
            return trained, _adapter_parameters(trained), held.bits(adapted)
        model = _load(trained, self.device)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        folder = self.save(model)
        return folder, parameters, held.bits(_load(folder, self.device))

    def save(self, model: Any) -> Path:
        """Weights in the recipe's format and tokenizer to ``out/model``, whole or not at all."""
        from residency.model.load_model import DTYPES, quiet_transformers

        folder = self.out / "model"
        with open_draft_folder(folder) as draft, quiet_transformers():
            model.to(DTYPES[self.recipe.run.dtype]).save_pretrained(draft)
            self.tokenizer.save_pretrained(draft)
        return folder

    def _record(
        self, result: PretrainResult, files: Sequence[TokenFile], batches: PackedBatches
    ) -> None:
        """Settings, data and figures of the run, beside the model."""
        # A model that is gone on from brings its own shape and tokenizer.
        unused = {"model", "tokenizer"} if self.start else set()
        corpora = [
            {
                "name": c.name,
                "share": c.share,
                "tokens": len(f.tokens),
                "sha256": f.sha256,
                "passes": e,
            }
            for c, f, e in zip(self.corpora, files, batches.epochs, strict=True)
        ]
        write_json(
            self.out / "pretrain.json",
            {
                "recipe": self.recipe.model_dump(exclude=unused),
                "start": self.start,
                "corpora": corpora,
                "result": result.to_dict(),
            },
            sort_keys=True,
        )


def _load(folder: Path, device: str, adapter: Path | None = None) -> Any:
    from residency.model.load_model import load_model, pick_device

    return load_model(folder, adapter, dtype="fp32", device=pick_device(device))


def _adapter_parameters(folder: Path) -> int:
    from safetensors import safe_open

    with safe_open(folder / "adapter_model.safetensors", framework="np") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
