"""Training speed on one CUDA GPU: this engine against TRL with Liger kernels, bf16.

    python benchmarks/train_gpu.py --models 1b,8b --methods lora,full --length 4096

Llama shapes with random weights; full fine-tuning for 1b only. Both sides train on the same
packed sequences in turn; a figure is the median over rounds of tokens a second, and the model
FLOP utilisation against the card's dense bf16 peak (``--peak``, TFLOP/s). Needs the extra ``gpu``.
``--device cpu --models small --alone`` runs our side anywhere, which a test does.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from residency.config.train import TrainConfig
from residency.interfaces import TokenRow
from residency.model.peft_adapter import save_adapter
from residency.model.quiet_libraries import quiet_libraries
from residency.train.train_engine import Engine
from residency.train.train_loop import load_base

SHAPES: dict[str, dict[str, int]] = {
    "small": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
    "1b": {
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
    "8b": {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
}
VOCABULARY = 128_256


def make_model(name: str, folder: Path, device: str) -> Path:
    """A random Llama of this shape, in bf16."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        max_position_embeddings=8192,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=name == "1b",
        **SHAPES[name],
    )
    with torch.device(device), quiet_libraries():
        model = LlamaForCausalLM(config).to(torch.bfloat16)
        model.save_pretrained(folder / name)
    del model
    if device == "cuda":
        torch.cuda.empty_cache()
    return folder / name


def make_rows(count: int, length: int) -> list[TokenRow]:
    """Rows of ``length`` tokens, every one trained."""
    random = np.random.default_rng(0)
    return [
        TokenRow(str(n), tuple(random.integers(3, VOCABULARY, length).tolist()), (True,) * length)
        for n in range(count)
    ]


class Ours:
    """The engine."""

    def __init__(self, base: Path, settings: TrainConfig, device: str) -> None:
        model = load_base(base, settings, torch.device(device))
        self.engine = Engine(model, settings, total_steps=10**6)

    def step(self, rows: list[TokenRow]) -> float:
        """Loss of one optimizer step."""
        return self.engine.step(rows).loss


class Liger:
    """What TRL runs with ``use_liger_kernel``: PEFT, Liger's kernels, fused loss, one optimizer."""

    def __init__(self, base: Path, settings: TrainConfig, adapter: Path) -> None:
        from liger_kernel.transformers import AutoLigerKernelForCausalLM
        from peft import PeftModel

        with quiet_libraries():
            model = AutoLigerKernelForCausalLM.from_pretrained(
                base, dtype=torch.bfloat16, attn_implementation="sdpa"
            ).cuda()
        if settings.method == "lora":
            model = PeftModel.from_pretrained(model, adapter, is_trainable=True)
        model.train()
        self.model = model
        trained = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=settings.learning_rate, fused=True)

    def step(self, rows: list[TokenRow]) -> float:
        """Loss of one optimizer step, a row at a time."""
        total = 0.0
        for row in rows:
            ids = torch.tensor([row.ids], device="cuda")
            loss = self.model(input_ids=ids, labels=ids).loss / len(rows)
            loss.backward()
            total += float(loss.detach())
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return total


def compare(name: str, method: str, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One model and method, both sides in turn."""
    base = make_model(name, folder, args.device)
    settings = TrainConfig(
        method=method,
        layers="all",
        learning_rate=1e-4,
        schedule="constant",
        warmup=0.0,
        precision="bf16",
        micro_tokens=args.length,
        activation_checkpointing=args.checkpointing,
    )
    rows = make_rows(args.batch, args.length)
    tokens = args.batch * args.length
    sides: dict[str, Any] = {"residency": Ours(base, settings, args.device)}
    engine = sides["residency"].engine
    if not args.alone:
        if method == "lora":
            save_adapter(engine.model, folder / "adapter", settings, "base")
        sides["liger"] = Liger(base, settings, folder / "adapter")
    speeds: dict[str, list[float]] = {side: [] for side in sides}
    losses: dict[str, float] = {}
    for turn in range(args.rounds + 2):
        for side, trainer in sides.items():
            synchronise(args.device)
            began = time.perf_counter()
            loss = trainer.step(rows)
            synchronise(args.device)
            losses.setdefault(side, loss)
            if turn > 1:
                speeds[side].append(tokens / (time.perf_counter() - began))
    medians = {side: statistics.median(values) for side, values in speeds.items()}
    per_token = engine.cost.of(tokens, tokens) / tokens
    return {
        "model": name,
        "method": method,
        "tokens a second": {side: round(value) for side, value in medians.items()},
        "model FLOP utilisation": {
            side: round(value * per_token / (args.peak * 1e12), 3)
            for side, value in medians.items()
        },
        "first loss": losses,
        "peak GiB": round(torch.cuda.max_memory_allocated() / 2**30, 1)
        if args.device == "cuda"
        else None,
    }


def synchronise(device: str) -> None:
    """Wait for what the card still computes."""
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Run what the arguments name and print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="1b,8b")
    parser.add_argument("--methods", default="lora,full")
    parser.add_argument("--length", type=int, default=4096)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peak", type=float, default=989.0, help="dense bf16 TFLOP/s (H100 SXM)")
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--alone", action="store_true", help="leave Liger out")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("this benchmark needs a CUDA GPU")
    name = torch.cuda.get_device_name() if args.device == "cuda" else "cpu"
    print(json.dumps({"device": name, "torch": torch.__version__}))
    for name in args.models.split(","):
        for method in args.methods.split(","):
            if name == "8b" and method == "full":
                continue  # weights, gradients and AdamW's moments do not fit one card
            with tempfile.TemporaryDirectory() as folder:
                print(json.dumps(compare(name, method, args, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
