"""Copy probe: a name or number seen once, wanted again. Prints the exact-copy rate by kind.

    python recipes/tiny/probe.py MODEL [--items 100]

The sentences are not among those of the generator, the names are made up and the numbers random,
so the answer can only come from the text. Greedy; right is right to the last character.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from words import code, digits, made_up

FILL = ["The shop was closed.", "It was late.", "Nobody was there.", "We had tea first.", ""]


def items(kind: str, n: int, seed: int) -> list[tuple[str, str]]:
    """(text up to where the value is wanted, value)."""
    rng = random.Random(f"{kind}-{seed}")
    make: dict[str, Callable[[], str]] = {
        "name": lambda: f"{made_up(rng)} {made_up(rng)}",
        "code": lambda: code(rng),
        "number": lambda: digits(rng, 4, 7),
    }
    frames = {
        "name": ("A letter from {v} was on the table.", "name:"),
        "code": ("On the box we read {v} in red ink.", "code:"),
        "number": ("They counted {v} steps to the tower.", "number:"),
    }
    told, key = frames[kind]
    out = []
    for _ in range(n):
        value = make[kind]()
        text = f"{rng.choice(FILL)} {told.format(v=value)} {rng.choice(FILL)}".strip()
        out.append((f"{text}\n\n{key}", value))
    return out


@torch.no_grad()
def copied(model: Any, tokenizer: Any, text: str, value: str) -> bool:
    """Whether the greedy continuation begins with the value."""
    ids = tokenizer(text, return_tensors="pt").input_ids
    wanted = tokenizer(" " + value).input_ids
    written = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=len(wanted),
        do_sample=False,
        pad_token_id=tokenizer.pad_token_id,
    )
    return bool(written[0, ids.shape[1] :].tolist() == wanted)


def main() -> None:
    """Command line."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    rates = {}
    for kind in ("name", "code", "number"):
        right = [copied(model, tokenizer, *item) for item in items(kind, args.items, args.seed)]
        rates[kind] = sum(right) / len(right)
    print(json.dumps({"items": args.items, "exact_copies": rates}))


if __name__ == "__main__":
    main()
