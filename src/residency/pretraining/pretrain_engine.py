"""What pretraining adds to the one training loop: a fresh model, Muon, bits per byte, samples."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from residency.interfaces import TokenRow
from residency.model.decoder import Decoder
from residency.pretraining.copying_heads import set_copying_heads
from residency.pretraining.packed_batches import pieces
from residency.pretraining.token_files import END_TOKEN, PAD_TOKEN, TokenFile
from residency.train.flat_batch import flatten, split_by_tokens
from residency.train.muon import MuonAdamW
from residency.train.train_engine import Engine


@dataclass(frozen=True)
class Shape:
    """Size of a fresh Llama-architecture model (embeddings tied)."""

    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    kv_heads: int
    max_positions: int
    copying: bool = False


def save_tokenizer(tokenizer: Any, out: Path) -> None:
    """A ``tokenizers.Tokenizer`` as a folder that ``AutoTokenizer`` loads."""
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token=END_TOKEN,
        eos_token=END_TOKEN,
        pad_token=PAD_TOKEN,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(out)


def new_model(tokenizer_folder: Path, shape: Shape, out: Path, *, seed: int) -> int:
    """Random weights and the tokenizer as a Hugging Face folder; returns the parameter count.

    What writes into the residual stream starts at zero: each layer begins as the identity.
    """
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=shape.max_positions,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    for name, parameter in model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            torch.nn.init.zeros_(parameter)
    if shape.copying:
        set_copying_heads(model, seed=seed)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return sum(parameter.numel() for parameter in model.parameters())


class PretrainEngine(Engine):
    """The training engine with fp32 weights (also under bf16 products) and, if asked, Muon."""

    muon_rate: float = 0.0
    """Muon's learning rate; 0 keeps AdamW for everything."""

    def __init__(self, model: Any, settings: Any, **options: Any) -> None:
        super().__init__(model.float(), settings, **options)
        if self.muon_rate:
            self.optimizer: Any = MuonAdamW(
                self.trainable,
                learning_rate=settings.learning_rate,
                muon_rate=self.muon_rate,
                weight_decay=settings.weight_decay,
            )


def engine_with(muon_rate: float) -> type[PretrainEngine]:
    """The engine's class with a Muon learning rate."""
    return type("PretrainEngine", (PretrainEngine,), {"muon_rate": muon_rate})


def token_bytes(tokenizer: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    """[vocabulary] UTF-8 bytes that each token stands for; 0 for special tokens."""
    backend = tokenizer.backend_tokenizer
    spec = json.loads(backend.to_str())
    byte_level = "ByteLevel" in json.dumps([spec.get("decoder"), spec.get("pre_tokenizer")])
    special = {t["id"] for t in spec.get("added_tokens", ()) if t.get("special")}
    size = max(len(tokenizer), backend.get_vocab_size())
    out = np.zeros(size, np.int64)
    for token, index in backend.get_vocab().items():
        if index in special:
            continue
        if byte_level:  # one character of the byte alphabet a byte
            out[index] = len(token)
        elif len(token) == 6 and token.startswith("<0x"):
            out[index] = 1
        else:
            out[index] = len(token.replace("\u2581", " ").encode())
    return out


@dataclass(frozen=True)
class HeldOut:
    """Held-out text as rows, each predicted from its own beginning.

    Attributes:
        name: of the corpus. rows: pieces of at most one context. text_bytes: bytes of the
            predicted tokens.
    """

    name: str
    rows: tuple[TokenRow, ...]
    text_bytes: int


def held_out_rows(
    name: str,
    file: TokenFile,
    *,
    context: int,
    limit: int,
    sizes: np.ndarray[Any, np.dtype[np.int64]],
) -> HeldOut:
    """At most ``limit`` tokens of a held-out file, spread evenly over it."""
    cut = pieces(file, context)
    wanted = max(1, limit // context)
    if len(cut) > wanted:
        # Short documents make short pieces: take more of those, to the same number of tokens.
        mean = float((cut[:, 1] - cut[:, 0]).mean())
        wanted = min(len(cut), max(1, int(limit / mean)))
        cut = cut[np.linspace(0, len(cut) - 1, wanted).astype(int)]
    rows, total = [], 0
    for begin, end in cut:
        ids = tuple(int(token) for token in file.tokens[begin:end])
        rows.append(TokenRow(f"{name}:{begin}", ids, (True,) * len(ids)))
        total += int(sizes[list(ids[1:])].sum())
    return HeldOut(name, tuple(rows), total)


@torch.no_grad()
def bits_per_byte(
    model: Any, held: HeldOut, *, dtype: torch.dtype = torch.float32, micro_tokens: int = 4096
) -> float:
    """Bits that the model needs for each byte of held-out text: Σ nll / (ln 2 · bytes).

    Independent of the tokenizer, so different models can be compared on the same text.
    """
    decoder = Decoder(model)
    total = 0.0
    enabled = dtype != torch.float32
    for part in split_by_tokens(held.rows, micro_tokens):
        batch = flatten(part).to(decoder.device)
        with torch.autocast(decoder.device.type, dtype, enabled=enabled):
            states = decoder.hidden(batch.ids, batch.positions, batch.layout)
            value, _ = decoder.loss(states[batch.predict], batch.labels, batch.weights)
        total += float(value)
    return total / (math.log(2) * held.text_bytes)


@torch.no_grad()
def sample(
    model: Any, tokenizer: Any, prompts: Sequence[str], tokens: int = 40
) -> Mapping[str, str]:
    """Greedy continuations of a few prompts."""
    out = {}
    for prompt in prompts:
        ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").to(model.device)
        written = model.generate(
            **ids, max_new_tokens=tokens, do_sample=False, pad_token_id=tokenizer.pad_token_id or 0
        )
        out[prompt] = tokenizer.decode(written[0, ids["input_ids"].shape[1] :])
    return out
