"""``residency pretrain``: raw text to a base model, or more pretraining of an existing one.

The loop is the one that fine-tunes (``residency.train``). What is particular to pretraining is
settled here: tokenizer, token files, held-out text, and what is recorded at the end.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from residency.config import Section, TrainConfig
from residency.errors import ConfigError, DataError, ModelError, ResumeError, StoreError
from residency.train.pretrain_data import (
    Corpus,
    PackedBatches,
    TokenFile,
    corpus_files,
    split_documents,
    token_file,
    tokenizer_sample,
    train_tokenizer,
)
from residency.types import Progress, ProgressEvent, no_progress


class CorpusConfig(Section):
    """One source of text."""

    path: str
    """File or folder: `.txt`, `.md`, `.jsonl` (also `.gz`, `.xz`, `.bz2`) or `.parquet`."""
    share: float = Field(1.0, gt=0)
    """Its share of the training tokens, relative to the other sources."""
    field: str = "text"
    """Field of JSON rows or Parquet columns that holds the text."""
    held_out: str | float = 0.01
    """Share of documents held out for measuring, or a file or folder of held-out text."""


class TokenizerConfig(Section):
    """The tokenizer, trained on the text: byte-level BPE, digits one by one."""

    vocab_size: int = Field(4096, ge=258)
    """Number of tokens."""
    sample_characters: int = Field(30_000_000, ge=1000)
    """Most characters of text it is trained on."""


class ShapeConfig(Section):
    """Size of the model: Llama architecture, embeddings tied."""

    hidden_size: int = Field(256, ge=8)
    """Width."""
    intermediate_size: int = Field(640, ge=8)
    """Width inside the MLP."""
    layers: int = Field(5, ge=1)
    """Number of layers."""
    heads: int = Field(4, ge=1)
    """Attention heads."""
    kv_heads: int = Field(2, ge=1)
    """Key/value heads (grouped-query attention)."""
    max_positions: int = Field(1024, ge=16)
    """Longest input that the configuration allows."""
    copying: bool = False
    """Start from weights that can copy (an induction circuit) instead of random ones."""


class RunConfig(Section):
    """How long and how it trains."""

    tokens: int = Field(10_000_000, ge=1)
    """Training tokens to see."""
    batch_tokens: int = Field(4096, ge=16)
    """Tokens an optimizer step."""
    context: int = Field(256, ge=8)
    """Longest piece of a document, in tokens; longer documents are cut into pieces."""
    learning_rate: float = Field(3e-3, gt=0)
    """Peak learning rate of AdamW (embeddings, norms; everything when `muon_rate` is 0)."""
    muon_rate: float = Field(0.02, ge=0)
    """Peak learning rate of Muon (matrices inside the layers); 0 uses AdamW alone."""
    weight_decay: float = Field(0.01, ge=0)
    """Weight decay of matrices."""
    schedule: Literal["cosine", "linear", "constant"] = "linear"
    """Learning rate after warm-up."""
    warmup_steps: int = Field(30, ge=0)
    """Steps over which the learning rate rises."""
    method: Literal["full", "lora"] = "full"
    """`lora` (only with `--from`) trains an adapter instead of every weight."""
    rank: int = Field(16, ge=1)
    """LoRA rank, with `method = "lora"`."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Format of the matrix products; weights stay fp32. bf16 pays on CPUs with AVX512-BF16."""
    micro_tokens: int = Field(4608, ge=16)
    """Most tokens in one forward pass."""
    eval_every: int = Field(250, ge=0)
    """Steps between measurements on held-out text; 0 measures at the end only."""
    eval_tokens: int = Field(16_384, ge=64)
    """Held-out tokens of each source that are measured."""
    checkpoint_every: int = Field(100, ge=1)
    """Steps between checkpoints."""
    samples: tuple[str, ...] = ()
    """Prompts continued at every measurement and written to `samples.txt`."""
    dtype: Literal["fp32", "fp16", "bf16"] = "fp32"
    """Format of the saved weights."""
    seed: int = 0
    """Seed of weights and order."""


class PretrainConfig(Section):
    """A pretraining recipe (TOML)."""

    corpus: tuple[CorpusConfig, ...] = ()
    """Sources of text, mixed by share."""
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ShapeConfig = ShapeConfig()
    run: RunConfig = RunConfig()


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


def load_recipe(path: Path) -> PretrainConfig:
    """A recipe from a TOML file; paths in it are relative to it.

    Raises:
        ConfigError: missing, not TOML, or a wrong setting.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError("no such recipe", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not valid TOML: {error}", where=str(path)) from None
    for corpus in raw.get("corpus", []):
        for key in ("path", "held_out"):
            if isinstance(corpus, dict) and isinstance(corpus.get(key), str):
                corpus[key] = str((path.parent / corpus[key]).resolve())
    return _validate(raw, str(path))


def _validate(raw: Mapping[str, Any], where: str) -> PretrainConfig:
    try:
        config = PretrainConfig.model_validate(raw)
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg'].lower()}"
            for item in error.errors()
        ]
        raise ConfigError(
            "; ".join(lines), where=where, next_step="see docs/pretraining.md for every setting"
        ) from None
    shape = config.model
    if shape.hidden_size % shape.heads or shape.heads % shape.kv_heads:
        raise ConfigError(
            f"hidden_size {shape.hidden_size} must be a multiple of heads {shape.heads}, "
            f"and heads of kv_heads {shape.kv_heads}",
            where=f"{where} [model]",
        )
    if shape.copying and (shape.layers < 2 or shape.heads < 4):
        raise ConfigError(
            "copying needs at least 2 layers and 4 heads",
            where=f"{where} model.copying",
            next_step="make the model larger, or leave copying off",
        )
    if config.run.context > shape.max_positions:
        raise ConfigError(
            f"run.context {config.run.context} is longer than "
            f"model.max_positions {shape.max_positions}",
            where=where,
        )
    return config


def recipe_for(
    text: Path, run: Mapping[str, Any] | None = None, *, field: str = "text"
) -> PretrainConfig:
    """The default recipe for one folder or file of text; ``run`` overrides ``[run]``."""
    corpus = {"path": str(text), "field": field, "held_out": 0.05}
    return _validate({"corpus": [corpus], "run": dict(run or {})}, "--text")


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
        out.mkdir(parents=True, exist_ok=True)
        return _Run(recipe, out, start, others, threads, device, progress, say).go()
    except OSError as error:
        if isinstance(error, DataError | ModelError):
            raise
        raise StoreError(
            f"cannot write: {error.strerror or error}",
            where=str(out),
            next_step="free some space and run the same command: the last checkpoint is kept",
        ) from error


def snapshot(recipe: PretrainConfig, out: Path, *, start: str = "", device: str = "auto") -> Path:
    """The model of an interrupted run's last checkpoint, in ``out/model``; nothing is trained.

    With a constant learning rate this is the model of a run of just so many steps.

    Raises:
        ResumeError: there is no checkpoint.
    """
    from transformers import AutoTokenizer

    from residency.train import checkpoint

    found = checkpoint.latest(out / "checkpoints")
    if found is None:
        raise ResumeError("no checkpoint here yet", where=str(out))
    run = _Run(recipe, out, start, (), 0, device, no_progress, lambda line: None)
    base, _ = run.base()
    run.tokenizer = AutoTokenizer.from_pretrained(base)
    model = _load(base, device)
    weights = checkpoint.tensors(found[0], "weights")
    for name, parameter in model.named_parameters():
        parameter.data.copy_(weights[name])
    return run.save(model)


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
        self.corpora = _corpora(recipe)
        self.notes: list[str] = []
        self.log: list[dict[str, Any]] = []

    def go(self) -> PretrainResult:
        from transformers import AutoTokenizer

        from residency.train.pretrain import engine_with

        run = self.recipe.run
        base, identity = self.base()
        self.tokenizer = AutoTokenizer.from_pretrained(base)
        files = [self._tokens(corpus, held_out=False) for corpus in self.corpora]
        self.held = self._held_out()
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
        before = self._before(base)
        from residency.train import train

        result = train(
            base,
            batches,
            self._settings(steps),
            self.out,
            seed=run.seed,
            threads=self.threads,
            device=self.device,
            hashes={"base": identity, "data": batches.fingerprint},
            evaluate=self._measure,
            progress=self.progress,
            on_event=self._event,
            checkpoint_every=run.checkpoint_every,
            make_engine=engine_with(run.muon_rate if run.method == "full" else 0.0),
        )
        folder, parameters, after = self._export(result.folder)
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
            from residency.model.base import resolve

            base = resolve(self.start, progress=self.progress)
            return base.path, base.identity
        from residency.model.load import quiet
        from residency.train.pretrain import Shape, new_model

        folder = self.out / "start"
        shape = Shape(**self.recipe.model.model_dump())
        made = {
            "tokenizer": self.recipe.tokenizer.model_dump(),
            "model": self.recipe.model.model_dump(),
            "seed": self.recipe.run.seed,
            "text": self._text_key(),
        }
        key = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()
        done = folder / "made.json"
        if not (done.is_file() and json.loads(done.read_text())["key"] == key):
            shutil.rmtree(folder, ignore_errors=True)
            self.progress(ProgressEvent("tokenizer", 0, 1, "tokenizer"))
            sample = tokenizer_sample(self.corpora, self.recipe.tokenizer.sample_characters)
            train_tokenizer(sample, self.recipe.tokenizer.vocab_size, self.out / "tokenizer")
            self.progress(ProgressEvent("tokenizer", 1, 1, "tokenizer"))
            with quiet():
                new_model(self.out / "tokenizer", shape, folder, seed=self.recipe.run.seed)
            done.write_text(json.dumps({"key": key}), encoding="utf-8")
        return folder, f"fresh@sha256:{key}"

    def _text_key(self) -> list[Any]:
        """What tells one text from another without reading it: names, sizes and times."""
        stamps: list[Any] = []
        for corpus in self.corpora:
            paths = [corpus.path] + ([corpus.held_out] if isinstance(corpus.held_out, Path) else [])
            held = "" if isinstance(corpus.held_out, Path) else corpus.held_out
            stamps.append([corpus.name, corpus.field, held])
            for path in paths:
                for file in corpus_files(path):
                    stat = file.stat()
                    stamps.append([file.name, stat.st_size, stat.st_mtime_ns])
        return stamps

    def _tokens(self, corpus: Corpus, *, held_out: bool) -> TokenFile:
        backend = self.tokenizer.backend_tokenizer
        parts = [self._text_key(), backend.to_str(), corpus.name, held_out]
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

    def _held_out(self) -> list[Any]:
        from residency.train.pretrain import held_out_rows, token_bytes

        sizes = token_bytes(self.tokenizer)
        run = self.recipe.run
        elsewhere = [Corpus(f"elsewhere-{path.stem}", path, held_out=path) for path in self.others]
        held = []
        for corpus in [*self.corpora, *elsewhere]:
            if corpus.held_out == 0:
                continue
            file = self._tokens(corpus, held_out=True)
            held.append(
                held_out_rows(
                    corpus.name, file, context=run.context, limit=run.eval_tokens, sizes=sizes
                )
            )
        return held

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

    def _before(self, base: Path) -> dict[str, float]:
        """Bits per byte of the model one starts from."""
        kept = self.out / "before.json"
        if not self.start:
            return {}
        if kept.is_file():
            return dict(json.loads(kept.read_text(encoding="utf-8")))
        before = self._bits(_load(base, self.device))
        kept.write_text(json.dumps(before), encoding="utf-8")
        return before

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

    def _bits(self, model: Any) -> dict[str, float]:
        import torch

        from residency.train.pretrain import bits_per_byte

        dtype = torch.bfloat16 if self.recipe.run.precision == "bf16" else torch.float32
        return {held.name: bits_per_byte(model, held, dtype=dtype) for held in self.held}

    def _measure(self, model: Any) -> float:
        """The score of a checkpoint: minus the mean bits per byte over the corpora trained on."""
        from residency.train.pretrain import sample

        found = self._bits(model)
        self.say("held out: " + ", ".join(f"{k} {v:.4f} bits/byte" for k, v in found.items()))
        self._write("held-out.jsonl", {"bits_per_byte": found})
        if self.recipe.run.samples:
            written = sample(model, self.tokenizer, self.recipe.run.samples)
            self._write("samples.jsonl", dict(written))
        own = [found[c.name] for c in self.corpora if c.name in found]
        return -sum(own) / len(own) if own else -math.inf

    def _event(self, event: Mapping[str, float]) -> None:
        if event["step"] % 10 == 0 or "score" in event:
            self._write("log.jsonl", dict(event))

    def _write(self, name: str, row: Mapping[str, Any]) -> None:
        with (self.out / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

    # --- afterwards ---------------------------------------------------------------------------

    def _export(self, trained: Path) -> tuple[Path, int, dict[str, float]]:
        """The model in the wished format, in a folder of its own, measured as saved."""
        if self.recipe.run.method == "lora":
            return trained, 0, {}
        model = _load(trained, self.device)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        folder = self.save(model)
        return folder, parameters, self._bits(_load(folder, self.device))

    def save(self, model: Any) -> Path:
        """Weights in the recipe's format and tokenizer to ``out/model``, whole or not at all."""
        from residency.model.load import DTYPES, quiet

        folder, partial = self.out / "model", self.out / "model.partial"
        shutil.rmtree(partial, ignore_errors=True)
        with quiet():
            model.to(DTYPES[self.recipe.run.dtype]).save_pretrained(partial)
            self.tokenizer.save_pretrained(partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
        return folder

    def _record(
        self, result: PretrainResult, files: Sequence[TokenFile], batches: PackedBatches
    ) -> None:
        """Settings, data and figures of the run, beside the model."""
        from residency.model.checksums import write_json

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
                "recipe": self.recipe.model_dump(),
                "start": self.start,
                "corpora": corpora,
                "result": result.to_dict(),
            },
        )


def _load(folder: Path, device: str) -> Any:
    from residency.model.load import load_model, pick_device

    return load_model(folder, dtype="fp32", device=pick_device(device))


def _corpora(recipe: PretrainConfig) -> list[Corpus]:
    """The recipe's sources, each with a name of its own."""
    out: list[Corpus] = []
    for number, corpus in enumerate(recipe.corpus, 1):
        path = Path(corpus.path)
        name = path.name.split(".")[0] or f"corpus{number}"
        if any(name == known.name for known in out):
            name = f"{name}-{number}"
        held = corpus.held_out
        out.append(
            Corpus(
                name,
                path,
                corpus.share,
                corpus.field,
                Path(held) if isinstance(held, str) else held,
            )
        )
    return out
