"""A llama2.c checkpoint (stories260K.bin and tok512.bin) as a Hugging Face folder.

    python benchmarks/convert_stories260k.py stories260K.bin tok512.bin OUT

The file holds seven int32 (dim, hidden, layers, heads, kv heads, vocabulary, context) and then
float32 arrays, each over all layers. Its rotary embedding turns neighbouring pairs, Hugging
Face's turns halves, so the rows of the query and key projections are reordered.
"""

from __future__ import annotations

import argparse
import struct
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast


def convert_weights(path: Path) -> LlamaForCausalLM:
    """The checkpoint as a LlamaForCausalLM."""
    raw = path.read_bytes()
    dim, hidden, layers, heads, kv_heads, vocab, context = struct.unpack("7i", raw[:28])
    values = torch.from_numpy(np.frombuffer(raw[28:], np.float32).copy())
    size, place = dim // heads, 0

    def take(*shape: int) -> torch.Tensor:
        nonlocal place
        count = int(np.prod(shape))
        place += count
        return values[place - count : place].reshape(shape)

    shared, vocab = vocab > 0, abs(vocab)
    embedding = take(vocab, dim)
    attention_norm = take(layers, dim)
    query = take(layers, dim, dim)
    key = take(layers, kv_heads * size, dim)
    value = take(layers, kv_heads * size, dim)
    output = take(layers, dim, dim)
    ffn_norm = take(layers, dim)
    gate = take(layers, hidden, dim)
    down = take(layers, dim, hidden)
    up = take(layers, hidden, dim)
    final_norm = take(dim)
    place += context * size  # the rotary tables, which are computed anew
    state = {"model.embed_tokens.weight": embedding, "model.norm.weight": final_norm}
    for i in range(layers):
        name = f"model.layers.{i}."
        state |= {
            name + "input_layernorm.weight": attention_norm[i],
            name + "self_attn.q_proj.weight": halves(query[i], heads),
            name + "self_attn.k_proj.weight": halves(key[i], kv_heads),
            name + "self_attn.v_proj.weight": value[i],
            name + "self_attn.o_proj.weight": output[i],
            name + "post_attention_layernorm.weight": ffn_norm[i],
            name + "mlp.gate_proj.weight": gate[i],
            name + "mlp.down_proj.weight": down[i],
            name + "mlp.up_proj.weight": up[i],
        }
    state["lm_head.weight"] = embedding if shared else take(vocab, dim)
    config = LlamaConfig(
        vocab_size=vocab,
        hidden_size=dim,
        intermediate_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=context,
        rms_norm_eps=1e-5,
        tie_word_embeddings=shared,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    model = LlamaForCausalLM(config)
    model.load_state_dict(state)
    return model


def halves(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of each head from (0, 1, 2, 3, …) pairs to evens first, odds after."""
    rows, columns = weight.shape
    pairs = weight.view(heads, rows // heads // 2, 2, columns)
    return pairs.transpose(1, 2).reshape(rows, columns)


def convert_tokenizer(path: Path, vocab: int) -> PreTrainedTokenizerFast:
    """The scored pieces as a BPE whose merges are ranked by the score of what they make."""
    raw, place, pieces, scores = path.read_bytes(), 4, [], []
    for _ in range(vocab):
        score, length = struct.unpack("fi", raw[place : place + 8])
        place += 8
        pieces.append(raw[place : place + length].decode())
        scores.append(score)
        place += length
    pieces[:3] = ["<unk>", "<s>", "</s>"]
    ids = {piece: i for i, piece in enumerate(pieces)}
    merges = [
        (piece[:cut], piece[cut:], scores[i])
        for i, piece in enumerate(pieces)
        if i > 2 and not piece.startswith("<0x")
        for cut in range(1, len(piece))
        if piece[:cut] in ids and piece[cut:] in ids
    ]
    merges.sort(key=lambda m: -m[2])
    tokenizer = Tokenizer(
        models.BPE(ids, [(a, b) for a, b, _ in merges], unk_token="<unk>", byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Prepend(" ")
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<unk>",
    )


def main() -> None:
    """Convert, and print a story to see that it worked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    model = convert_weights(given.weights)
    tokenizer = convert_tokenizer(given.tokenizer, model.config.vocab_size)
    model.save_pretrained(given.out)
    tokenizer.save_pretrained(given.out)
    ids = torch.tensor([[1, *tokenizer.encode("Once upon a time", add_special_tokens=False)]])
    told = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=60)
    print(tokenizer.decode(told[0], skip_special_tokens=True))


if __name__ == "__main__":
    main()
