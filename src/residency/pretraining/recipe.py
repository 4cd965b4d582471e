"""A pretraining recipe: its settings, read from TOML and checked against one another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from residency.config.parse_toml import TomlTextError, parse_toml
from residency.config.read_text import read_text_file
from residency.config.section import Section
from residency.errors import ConfigError
from residency.pretraining.documents import Corpus


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
    """Prompts continued at every measurement and written to `samples.jsonl`."""
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


def load_recipe(path: Path) -> PretrainConfig:
    """A recipe from a TOML file; paths in it are relative to it.

    Raises:
        ConfigError: missing, not TOML, or a wrong setting.
    """
    try:
        raw = parse_toml(read_text_file(path))
    except FileNotFoundError:
        raise ConfigError("no such recipe", where=str(path)) from None
    except TomlTextError as error:
        raise ConfigError(str(error), where=str(path)) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8: {error}", where=str(path)) from None
    for corpus in raw.get("corpus", []):
        for key in ("path", "held_out"):
            if isinstance(corpus, dict) and isinstance(corpus.get(key), str):
                corpus[key] = str((path.parent / corpus[key]).resolve())
    return _validate_recipe(raw, str(path))


def _validate_recipe(raw: Mapping[str, Any], where: str) -> PretrainConfig:
    try:
        config = PretrainConfig.model_validate(raw)
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(name) for name in item['loc'])}: {item['msg'].lower()}"
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
    return _validate_recipe({"corpus": [corpus], "run": dict(run or {})}, "--text")


def corpora_of(recipe: PretrainConfig) -> list[Corpus]:
    """The recipe's sources, each with a separate name."""
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
