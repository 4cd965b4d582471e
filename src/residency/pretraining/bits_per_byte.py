"""How well a model predicts held-out text: bits per byte, whatever its tokenizer; and samples."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from residency.interfaces import TokenRow
from residency.model.decoder import Decoder
from residency.pretraining.packed_batches import cut_pieces
from residency.pretraining.token_files import TokenFile
from residency.train.flat_batch import flatten_rows, split_by_tokens


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
    """Held-out text as rows, each predicted from its beginning.

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
    cut = cut_pieces(file, context)
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
    for micro_batch in split_by_tokens(held.rows, micro_tokens, decoder.length_class):
        batch = flatten_rows(micro_batch).to(decoder.device)
        with torch.autocast(decoder.device.type, dtype, enabled=enabled):
            states = decoder.hidden_states(batch.ids, batch.positions, batch.layout)
            value, _ = decoder.weighted_loss(states[batch.predict], batch.labels, batch.weights)
        total += float(value)
    return total / (math.log(2) * held.text_bytes)


@torch.no_grad()
def sample_texts(
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
