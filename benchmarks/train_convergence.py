"""Loss over steps on real rows: this engine and TRL's SFTTrainer, the same rows in the same order.

    python benchmarks/train_convergence.py rows.json --base tiny --steps 200 --out curve.svg

``rows.json``: a list of objects with instruction, input and response. Rows longer than
``--longest`` tokens are left out. Prints the largest difference of two losses and draws both
curves. Both start from the same adapter, fp32, constant learning rate, no dropout.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch

from residency.chat import ChatFormat
from residency.config import TrainConfig
from residency.model import load_tokenizer, resolve
from residency.model.lora import save_adapter
from residency.train.curve import draw
from residency.types import Message, TokenRow
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


def main() -> None:
    """Train both and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--base", default="tiny")
    parser.add_argument("--layers", default="all")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--longest", type=int, default=160)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("convergence.svg"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    base = resolve(args.base).path
    rows = read_rows(args.rows, ChatFormat(load_tokenizer(base)), args.longest)
    random = np.random.default_rng(0)
    order = [random.choice(len(rows), args.batch, replace=False) for _ in range(args.steps)]
    batches = [[rows[i] for i in batch] for batch in order]
    settings = TrainConfig(
        layers=args.layers, learning_rate=args.rate, schedule="constant", warmup=0.0
    )
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(base, settings, Path(folder) / "trunk", rows)
        save_adapter(ours.engine.model, Path(folder) / "adapter", settings, "base")
        peer = Trl(base, settings, Path(folder) / "adapter", True)
        mine, theirs = ours.run(batches), peer.run(batches)
    gaps = [abs(a - b) for a, b in zip(mine[1], theirs[1], strict=True)]
    tail = max(1, args.steps // 10)
    result = {
        "base": args.base,
        "rows": len(rows),
        "steps": args.steps,
        "tokens": sum(len(row.ids) for batch in batches for row in batch),
        "first loss": round(mine[1][0], 4),
        "mean of the last tenth": [round(float(np.mean(v[1][-tail:])), 4) for v in (mine, theirs)],
        "largest difference": max(gaps),
        "largest difference in the first half": max(gaps[: args.steps // 2]),
        "seconds": [round(mine[0], 1), round(theirs[0], 1)],
    }
    print(json.dumps(result))
    title = f"loss in nats, {args.base}"
    args.out.write_text(
        draw([("this engine", mine[1]), ("TRL", theirs[1])], title=title), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
