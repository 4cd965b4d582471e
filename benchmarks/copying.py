"""Does a fresh model copy? Random tokens said again and again, with and without copying heads.

    python benchmarks/copying.py --steps 41 [--plain] [--rate 1e-3] [--threads 1]

Prints, every ten steps, the share of repeated tokens that are the most likely next one, while AdamW
trains on nothing else. The model has the shape of `tiny`; the sequences are 64 tokens long with a
period of 6 to 31. `--plain` starts from random weights.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from residency.pretraining.copying_heads import set_copying_heads

VOCABULARY, ROWS, LENGTH = 4096, 32, 64


def batch(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """[rows, length] ids and what comes next, -100 where it was not said before."""
    ids = np.empty((ROWS, LENGTH + 1), np.int64)
    wanted = np.full((ROWS, LENGTH), -100, np.int64)
    for row in range(ROWS):
        period = int(rng.integers(6, LENGTH // 2))
        said = rng.integers(258, VOCABULARY, period)
        ids[row] = np.tile(said, (LENGTH + 1) // period + 1)[: LENGTH + 1]
        wanted[row, period:] = ids[row, period + 1 :]
    return torch.from_numpy(ids[:, :-1]), torch.from_numpy(wanted)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=41)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=256, intermediate_size=640, num_hidden_layers=5,
            num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
        )
    )  # fmt: skip
    for name, parameter in model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            torch.nn.init.zeros_(parameter)
    if not args.plain:
        set_copying_heads(model, seed=0)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=args.rate, betas=(0.9, 0.95), weight_decay=0
    )
    for step in range(args.steps):
        optimizer.param_groups[0]["lr"] = args.rate * min(1.0, (step + 1) / 30)
        ids, wanted = batch(rng)
        logits = model(input_ids=ids, use_cache=False).logits
        loss = cross_entropy(logits.view(-1, VOCABULARY), wanted.view(-1))
        if step % 10 == 0:
            asked = wanted != -100
            right = (logits.argmax(-1) == wanted)[asked].float().mean()
            tokens = step * ROWS * LENGTH
            print(f"{tokens} tokens: {100 * right:.1f} % right, loss {loss:.3f}", flush=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


if __name__ == "__main__":
    main()
