"""Loss over steps on real rows: this engine and TRL's SFTTrainer, the same rows in the same order.

    python benchmarks/train_convergence.py rows.json --base tiny --epochs 5 --out curve.svg

``rows.json``: a list of objects with instruction, input and response. Rows longer than
``--longest`` tokens are left out; of the rest ``--rows`` train and ``--held`` are held out, whose
loss is taken before the first step and after each epoch (TRL's by plain transformers, row by row).
Prints the largest differences and draws both curves, the held-out losses beside them. Both start
from the same adapter, fp32, constant learning rate, no dropout.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from residency.chat.chat_format import ChatFormat
from residency.config.train import TrainConfig
from residency.interfaces import TokenRow
from residency.model.base_model import resolve_base
from residency.model.load_model import load_tokenizer
from residency.model.peft_adapter import save_adapter
from residency.nouns.example import Message
from residency.report.training_charts import draw_loss_chart
from train_cpu import Ours, Trl


def read_rows(file: Path, chat: ChatFormat, longest: int) -> list[TokenRow]:
    """Instruction rows as trained tokens, in the file's order."""
    rows = []
    for number, raw in enumerate(json.loads(file.read_text(encoding="utf-8"))):
        asked = "\n\n".join(part for part in (raw["instruction"], raw.get("input", "")) if part)
        answer = raw.get("response") or raw.get("output") or ""
        if not asked.strip() or not answer.strip():
            continue
        found = chat.encode([Message("user", asked), Message("assistant", answer)])
        if len(found.ids) <= longest:
            rows.append(TokenRow(str(number), tuple(found.ids), tuple(found.mask)))
    return rows


@torch.no_grad()
def plain_loss(model: Any, rows: list[TokenRow]) -> float:
    """Mean −log p of the trained tokens by the model's own forward, each row alone."""
    total = count = 0.0
    model.eval()
    for row in rows:
        ids, mask = torch.tensor([row.ids]), torch.tensor(row.mask[1:])
        logits = model(input_ids=ids).logits[0, :-1][mask]
        total += float(cross_entropy(logits.float(), ids[0, 1:][mask], reduction="sum"))
        count += float(mask.sum())
    model.train()
    return total / count


def main() -> None:
    """Train both and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows_file", type=Path)
    parser.add_argument("--base", default="tiny")
    parser.add_argument("--layers", default="all")
    parser.add_argument("--rows", type=int, default=160)
    parser.add_argument("--held", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--longest", type=int, default=160)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("convergence.svg"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    base = resolve_base(args.base).path
    found = read_rows(args.rows_file, ChatFormat(load_tokenizer(base)), args.longest)
    random = np.random.default_rng(0)
    mixed = [found[i] for i in random.permutation(len(found))]
    rows, held = mixed[: args.rows], mixed[args.rows : args.rows + args.held]
    steps = len(rows) // args.batch  # an epoch's; a rest is left out, as both must see the same
    batches = []
    for _ in range(args.epochs):
        order = random.permutation(len(rows))
        batches += [[rows[i] for i in order[s * args.batch :][: args.batch]] for s in range(steps)]
    settings = TrainConfig(
        layers=args.layers, learning_rate=args.rate, schedule="constant", warmup=0.0
    )
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(base, settings, Path(folder) / "trunk", rows)
        save_adapter(ours.engine.model, Path(folder) / "adapter", settings, "base")
        peer = Trl(base, settings, Path(folder) / "adapter", True)
        held_losses = [[ours.engine.mean_loss(held)], [plain_loss(peer.model, held)]]
        losses: list[float] = []
        seconds = 0.0
        for epoch in range(args.epochs):
            took, some = ours.run(batches[epoch * steps :][:steps])
            seconds, losses = seconds + took, losses + some
            held_losses[0].append(ours.engine.mean_loss(held))

        def after_step(done: int) -> None:
            if done % steps == 0:
                held_losses[1].append(plain_loss(peer.model, held))

        _, theirs = peer.run(batches, after_step)
    gaps = [abs(a - b) for a, b in zip(losses, theirs, strict=True)]
    result = {
        "base": Path(args.base).name,
        "rows": len(rows),
        "held out": len(held),
        "steps": len(batches),
        "tokens": sum(len(row.ids) for batch in batches for row in batch),
        "first loss": round(losses[0], 4),
        "mean of the last epoch": [round(float(np.mean(v[-steps:])), 4) for v in (losses, theirs)],
        "held-out losses": [[round(v, 4) for v in side] for side in held_losses],
        "largest difference": max(gaps),
        "largest difference in the first half": max(gaps[: len(gaps) // 2]),
        "largest held-out difference": max(abs(a - b) for a, b in zip(*held_losses, strict=True)),
        "seconds of this engine": round(seconds, 1),
    }
    print(json.dumps(result))
    held_out = np.interp(range(len(losses) + 1), *places(held_losses[0], steps)).tolist()
    named = {"this engine": losses, "TRL": theirs, "held out": held_out}
    curves = {
        f"{name} ({Path(args.base).name})": [
            {"step": step, "loss": loss} for step, loss in enumerate(values, 1)
        ]
        for name, values in named.items()
    }
    args.out.write_text(draw_loss_chart(curves), encoding="utf-8")


def places(values: list[float], steps: int) -> tuple[list[int], list[float]]:
    """Where the held-out losses lie among the steps."""
    return [epoch * steps for epoch in range(len(values))], values


if __name__ == "__main__":
    main()
