"""One pretraining run: prepare text and model, train, measure, record.

The loop is the one that fine-tunes (``residency.train``). What is particular to pretraining is
settled here: the model to start from, token files, and what is recorded at the end.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open

from residency.config.train import TrainConfig
from residency.errors import DataError, ModelError, ResumeError
from residency.files.atomic_write import open_draft_folder, write_json
from residency.files.write_errors import raise_os_errors
from residency.interfaces import Progress, ProgressEvent, no_progress
from residency.model.base_model import resolve_base
from residency.model.load_model import (
    DTYPES,
    load_model,
    load_tokenizer,
    pick_device,
)
from residency.model.quiet_libraries import quiet_libraries
from residency.pretraining.documents import Corpus, split_documents, text_stamps
from residency.pretraining.fresh_model import Shape, new_model
from residency.pretraining.held_out_text import HeldOutText
from residency.pretraining.packed_batches import PackedBatches
from residency.pretraining.pretrain_engine import make_engine_class
from residency.pretraining.pretrain_result import PretrainResult
from residency.pretraining.recipe import PretrainConfig, corpora_of
from residency.pretraining.token_files import TokenFile, token_file
from residency.pretraining.tokenizer import tokenizer_sample, train_tokenizer
from residency.text.counts import write_count
from residency.train import checkpoint
from residency.train.train_loop import train
from residency.train.train_options import TrainOptions


class PretrainRun:
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

    def train_and_measure(self) -> PretrainResult:
        """The whole run, or what is left of it."""
        run = self.recipe.run
        base, identity = self.find_base()
        self.tokenizer = load_tokenizer(base)
        files = [self._open_tokens(corpus, held_out=False) for corpus in self.corpora]
        held = HeldOutText.of(
            self.corpora,
            self.others,
            lambda corpus: self._open_tokens(corpus, held_out=True),
            self.tokenizer,
            run,
        )
        batches = self._pack_batches(files)
        self._describe_corpora(files, batches)
        before = held.before(base, identity, self.out, self.device) if self.start else {}

        result = train(
            base,
            batches,
            self._train_settings(batches.steps),
            self.out,
            TrainOptions(
                seed=run.seed,
                threads=self.threads,
                device=self.device,
                hashes={"base": identity, "data": batches.fingerprint},
                evaluate=lambda model: self._measure_held_out(model, held),
                progress=self.progress,
                on_event=self._log_event,
                checkpoint_every=run.checkpoint_every,
                make_engine=make_engine_class(run.muon_rate if run.method == "full" else 0.0),
            ),
        )
        folder, parameters, after = self._export_model(base, result.folder, held)
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
        self._write_record(record, files, batches)
        return record

    def _pack_batches(self, files: Sequence[TokenFile]) -> PackedBatches:
        run = self.recipe.run
        for corpus, file in zip(self.corpora, files, strict=True):
            if not len(file.tokens):
                raise DataError(
                    "all of its text is held out, and none is left to train on",
                    where=str(corpus.path),
                    next_step="give more text than one document, or measure on another file "
                    "(held_out)",
                )
        return PackedBatches(
            files,
            [corpus.share for corpus in self.corpora],
            context=run.context,
            batch_tokens=run.batch_tokens,
            steps=max(1, run.tokens // run.batch_tokens),
            seed=run.seed,
        )

    def _measure_held_out(self, model: Any, held: HeldOutText) -> float:
        """The score of a checkpoint: minus the mean bits per byte over what is trained on."""
        bits = held.bits(model)
        self.say("held out: " + ", ".join(f"{k} {v:.4f} bits/byte" for k, v in bits.items()))
        self._append_row("held-out.jsonl", {"bits_per_byte": bits})
        if self.recipe.run.samples:
            self._append_row("samples.jsonl", held.samples(model))
        trained_on = [bits[c.name] for c in self.corpora if c.name in bits]
        return -sum(trained_on) / len(trained_on) if trained_on else -math.inf

    def find_base(self) -> tuple[Path, str]:
        """The folder to start from, and its identity."""
        if self.start:
            base = resolve_base(self.start, progress=self.progress)
            return base.path, base.identity
        folder = self.out / "start"
        shape = Shape(**self.recipe.model.model_dump())
        ingredients = {
            "tokenizer": self.recipe.tokenizer.model_dump(),
            "model": self.recipe.model.model_dump(),
            "seed": self.recipe.run.seed,
            "text": text_stamps(self.corpora),
        }
        key = hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()
        done = folder / "made.json"
        if not (done.is_file() and json.loads(done.read_text())["key"] == key):
            shutil.rmtree(folder, ignore_errors=True)
            self.progress(ProgressEvent("tokenizer", 0, 1, "tokenizer"))
            sample = tokenizer_sample(self.corpora, self.recipe.tokenizer.sample_characters)
            train_tokenizer(sample, self.recipe.tokenizer.vocab_size, self.out / "tokenizer")
            self.progress(ProgressEvent("tokenizer", 1, 1, "tokenizer"))
            with quiet_libraries():
                new_model(self.out / "tokenizer", shape, folder, seed=self.recipe.run.seed)
            done.write_text(json.dumps({"key": key}), encoding="utf-8")
        return folder, f"fresh@sha256:{key}"

    def _open_tokens(self, corpus: Corpus, *, held_out: bool) -> TokenFile:
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

    def _describe_corpora(self, files: Sequence[TokenFile], batches: PackedBatches) -> None:
        context = self.recipe.run.context
        for corpus, file, epochs in zip(self.corpora, files, batches.epochs, strict=True):
            lengths = file.offsets[1:] - file.offsets[:-1]
            long = int((lengths > context).sum())
            self.say(
                f"{corpus.name}: {write_count(len(lengths), 'document')}, {write_count(len(file.tokens), 'token')}, "
                f"{file.text_bytes / len(file.tokens):.2f} bytes a token, {epochs:.2f} passes"
            )
            if long:
                self.notes.append(
                    f"{corpus.name}: {long} of {len(lengths)} documents are longer than the "
                    f"context of {context} tokens and are cut into pieces"
                )

    def _train_settings(self, steps: int) -> TrainConfig:
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

    def _log_event(self, event: Mapping[str, float]) -> None:
        if event["step"] % 10 == 0 or "score" in event:
            self._append_row("log.jsonl", dict(event))

    def _append_row(self, name: str, row: Mapping[str, Any]) -> None:
        with (self.out / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def _export_model(
        self, base: Path, trained: Path, held: HeldOutText
    ) -> tuple[Path, int, dict[str, float]]:
        """The model in the format of the recipe, in a new folder, measured as saved.

        An adapter stays where training wrote it and is measured on its base.
        """
        if self.recipe.run.method == "lora":
            adapted = load_fp32(base, self.device, trained)
            return trained, count_adapter_parameters(trained), held.bits(adapted)
        model = load_fp32(trained, self.device)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        folder = self.save_model(model)
        return folder, parameters, held.bits(load_fp32(folder, self.device))

    def save_model(self, model: Any) -> Path:
        """Weights in the recipe's format and tokenizer to ``out/model``, whole or not at all."""
        folder = self.out / "model"
        with open_draft_folder(folder) as draft, quiet_libraries():
            model.to(DTYPES[self.recipe.run.dtype]).save_pretrained(draft)
            self.tokenizer.save_pretrained(draft)
        return folder

    def _write_record(
        self, result: PretrainResult, files: Sequence[TokenFile], batches: PackedBatches
    ) -> None:
        """Settings, data and figures of the run, beside the model."""
        # A model that is gone on from brings its shape and tokenizer.
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


def save_last_checkpoint(recipe: PretrainConfig, out: Path, start: str, device: str) -> Path:
    """The model of an interrupted run's last checkpoint, in ``out/model``.

    Raises:
        ResumeError: there is no checkpoint.
    """
    latest = checkpoint.find_latest(out / "checkpoints")
    if latest is None:
        raise ResumeError("no checkpoint here yet", where=str(out))
    run = PretrainRun(recipe, out, start, (), 0, device, no_progress, lambda line: None)
    base, _ = run.find_base()
    run.tokenizer = load_tokenizer(base)
    model = load_fp32(base, device)
    weights = checkpoint.read_tensors(latest[0], "weights")
    for name, parameter in model.named_parameters():
        parameter.data.copy_(weights[name])
    with raise_os_errors(out):
        return run.save_model(model)


def load_fp32(folder: Path, device: str, adapter: Path | None = None) -> Any:
    return load_model(folder, adapter, dtype="fp32", device=pick_device(device))


def count_adapter_parameters(folder: Path) -> int:
    with safe_open(folder / "adapter_model.safetensors", framework="np") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
