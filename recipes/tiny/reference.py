"""A reference for the recipe: the same shape and tokens, trained by plain transformers code.

    python recipes/tiny/reference.py tiny.toml --out out/main --tokens 1000000 --rate 3e-3

Takes tokenizer, token files and batches of a `residency pretrain` run (``--out``), so both see the
same tokens in the same order. Everything else is what one would write first: `LlamaForCausalLM`
with its own random weights, right-padded rows, AdamW (0.9, 0.95, weight decay 0.1 on matrices),
warm-up and a linear fall, clipping at 1, bf16 autocast. Bits per byte are measured by the same
function for both.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from residency.pretraining.bits_per_byte import bits_per_byte, held_out_rows, token_bytes
from residency.pretraining.packed_batches import PackedBatches
from residency.pretraining.recipe import load_recipe
from residency.pretraining.token_files import TokenFile, open_tokens


def opened(folder: Path) -> TokenFile:
    """Token file as a run left it."""
    meta = json.loads((folder / "meta.json").read_text())
    return open_tokens(folder, meta)


def padded(rows: list[Any], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """[rows, longest] ids and labels."""
    longest = max(len(row.ids) for row in rows)
    ids = np.full((len(rows), longest), pad, np.int64)
    labels = np.full((len(rows), longest), -100, np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = row.ids
        labels[i, : len(row.ids)] = row.ids
    return torch.from_numpy(ids), torch.from_numpy(labels)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=3e-3)
    args = parser.parse_args()
    recipe = load_recipe(args.recipe)
    run, shape = recipe.run, recipe.model
    tokenizer = AutoTokenizer.from_pretrained(args.out / "tokenizer")
    names = [Path(corpus.path).name.split(".")[0] for corpus in recipe.corpus]
    steps = args.tokens // run.batch_tokens
    batches = PackedBatches(
        [opened(args.out / "tokens" / f"{name}-train") for name in names],
        [corpus.share for corpus in recipe.corpus],
        context=run.context,
        batch_tokens=run.batch_tokens,
        steps=steps,
        seed=run.seed,
    )
    torch.manual_seed(run.seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=shape.hidden_size,
            intermediate_size=shape.intermediate_size,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_heads,
            max_position_embeddings=shape.max_positions,
            tie_word_embeddings=True,
        )
    )
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        lr=args.rate,
        betas=(0.9, 0.95),
        fused=True,
    )
    warm = run.warmup_steps
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min((s + 1) / warm, (steps - s) / max(1, steps - warm))
    )
    seen, began = 0, time.monotonic()
    for step in range(steps):
        rows = batches.batch(step)
        ids, labels = padded(rows, int(tokenizer.pad_token_id))
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=ids, attention_mask=(labels >= 0).long(), labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        seen += sum(len(row.ids) for row in rows)
        if step % 50 == 0:
            print(f"{step}/{steps} loss {loss.item():.3f}", flush=True)
    sizes = token_bytes(tokenizer)
    bits = {
        name: bits_per_byte(
            model,
            held_out_rows(
                name,
                opened(args.out / "tokens" / f"{name}-held-out"),
                context=run.context,
                limit=run.eval_tokens,
                sizes=sizes,
            ),
            dtype=torch.bfloat16,
        )
        for name in names
    }
    seconds = round(time.monotonic() - began)
    print(
        json.dumps({"tokens": seen, "rate": args.rate, "seconds": seconds, "bits_per_byte": bits})
    )


if __name__ == "__main__":
    main()
