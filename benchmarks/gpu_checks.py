"""What a GPU must give, held against the CPU: losses, answers, choices, 4-bit and split weights, a whole run.

    python benchmarks/gpu_checks.py --base FOLDER
    python benchmarks/gpu_checks.py --base FOLDER --device cpu --parts losses,answers,choices,split

One JSON line a part: how far the device's figures lie from the CPU's in fp32, and tokens or items a second
beside transformers on the same device. ``nf4`` needs bitsandbytes, ``vllm`` needs vLLM; where such a library is
absent the line says so. ``tickets`` runs the shipped example on the device. FOLDER is a Hugging Face
folder with a tokenizer. With ``--device cpu`` every part but ``tickets`` runs anywhere at small shapes, which
a test does, so that the script is sound on the day when there is a card.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eval import hugging_face, items, prompts
from residency import Project
from residency.chat.chat_format import ChatFormat
from residency.commands.init import init
from residency.config.train import TrainConfig
from residency.infer.local_engine import LocalEngine
from residency.interfaces import TokenRow
from residency.model.load_model import load_tokenizer
from residency.model.quiet_libraries import quiet_libraries
from residency.nouns.response import Sampling
from residency.train.train_engine import Engine
from residency.train.train_loop import load_base, train
from residency.train.train_options import TrainOptions

STEPS = 6


def make_rows(base: Path, count: int, length: int) -> list[TokenRow]:
    """Random rows of different lengths, the second half of each trained, with the base's end token."""
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    vocabulary, end = int(config["vocab_size"]), config["eos_token_id"]
    end = end[0] if isinstance(end, list) else end
    numbers = np.random.default_rng(0)
    rows = []
    for name in range(count):
        size = length // 2 + int(numbers.integers(length // 2))
        ids = (*numbers.integers(3, vocabulary, size - 1).tolist(), end)
        rows.append(TokenRow(str(name), ids, tuple(at >= size // 2 for at in range(size))))
    return rows


def train_losses(
    options: argparse.Namespace, device: str, **changes: Any
) -> tuple[list[float], float]:
    """Losses of a few steps, and tokens a second of the whole training."""
    settings = TrainConfig(
        layers="all", batch_size=4, epochs=1, schedule="constant", warmup=0.0, **changes
    )
    rows = make_rows(options.base, 4 * STEPS, options.length)
    with tempfile.TemporaryDirectory() as out:
        result = train(options.base, rows, settings, Path(out), TrainOptions(seed=0, device=device))
        return list(result.losses), result.tokens / max(result.seconds, 1e-9)


def measure_gap(left: Sequence[float], right: Sequence[float]) -> float:
    """Largest difference of two lists of losses."""
    return round(max(abs(a - b) for a, b in zip(left, right, strict=True)), 6)


def check_losses(options: argparse.Namespace) -> dict[str, Any]:
    """LoRA and full training on the device in fp32 and bf16, against the CPU in fp32."""
    found: dict[str, Any] = {}
    for method in ("lora", "full"):
        want, cpu_speed = train_losses(options, "cpu", method=method, precision="fp32")
        found[f"{method} cpu tokens/s"] = round(cpu_speed)
        for precision in ("fp32", "bf16"):
            losses, speed = train_losses(
                options, options.device, method=method, precision=precision
            )
            found[f"{method} {precision} gap"] = measure_gap(want, losses)
            found[f"{method} {precision} tokens/s"] = round(speed)
    return found


def check_nf4(options: argparse.Namespace) -> dict[str, Any]:
    """QLoRA by bitsandbytes' kernels on the device, against the CPU's own products."""
    if importlib.util.find_spec("bitsandbytes") is None:
        return {"left out": "bitsandbytes is not installed"}
    want, _ = train_losses(options, "cpu", quantize="nf4", precision="fp32")
    losses, speed = train_losses(options, options.device, quantize="nf4", precision="bf16")
    return {"gap": measure_gap(want, losses), "losses": losses, "tokens/s": round(speed)}


def check_split(options: argparse.Namespace) -> dict[str, Any]:
    """FSDP2 with one process: weights split over one device, against the same whole ones."""
    import torch.distributed as dist

    device = torch.device(options.device)
    rows = make_rows(options.base, 4 * STEPS, options.length)
    batches = [rows[at : at + 4] for at in range(0, len(rows), 4)]
    settings = TrainConfig(layers="all", precision="fp32", schedule="constant", warmup=0.0)
    losses = {}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0", "RANK": "0", "WORLD_SIZE": "1"}
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        for name in ("whole", "split"):
            engine = Engine(load_base(options.base, settings, device), settings, total_steps=STEPS)
            if name == "split":
                engine.shard_weights()
            losses[name] = [engine.step(batch).loss for batch in batches]
    finally:
        dist.destroy_process_group()
    return {"gap": measure_gap(losses["whole"], losses["split"])}


def open_engine(options: argparse.Namespace, device: str) -> LocalEngine:
    """The engine on a device, in fp32."""
    chat = ChatFormat(load_tokenizer(options.base))
    return LocalEngine(options.base, chat, device=device, batch_size=32)


def check_answers(options: argparse.Namespace) -> dict[str, Any]:
    """Greedy answers on the device: equal to the CPU's, and tokens a second beside transformers."""
    from transformers import AutoModelForCausalLM

    asked, sampling = prompts(options.count), Sampling(max_new_tokens=options.budget)
    want = [
        tuple(answer.token_ids) for answer in open_engine(options, "cpu").generate(asked, sampling)
    ]
    engine = open_engine(options, options.device)
    seconds, answers = clock(lambda: engine.generate(asked, sampling))
    have = [tuple(answer.token_ids) for answer in answers]
    with quiet_libraries():
        model = AutoModelForCausalLM.from_pretrained(options.base, dtype=torch.float32)
    model = model.to(options.device).eval()
    with torch.device(options.device):
        peer_seconds, peer = clock(lambda: hugging_face(engine, model, asked, options.budget))
    return {
        "equal": f"{sum(map(tuple.__eq__, have, want))}/{len(want)}",
        "tokens/s": round(sum(map(len, have)) / seconds, 1),
        "transformers tokens/s": round(sum(map(len, peer)) / peer_seconds, 1),
    }


def check_choices(options: argparse.Namespace) -> dict[str, Any]:
    """Log-likelihoods of answers on the device against the CPU's, and items a second."""
    asked = items(options.count, letters=False)
    want = open_engine(options, "cpu").score(asked)
    engine = open_engine(options, options.device)
    seconds, have = clock(lambda: engine.score(asked))
    gaps = [
        abs(a.logprob - b.logprob)
        for left, right in zip(have, want, strict=True)
        for a, b in zip(left, right, strict=True)
    ]
    return {"largest gap": round(max(gaps), 6), "items/s": round(len(asked) / seconds, 1)}


def check_vllm(options: argparse.Namespace) -> dict[str, Any]:
    """Tokens a second of vLLM on the same prompts, where it is installed."""
    if importlib.util.find_spec("vllm") is None:
        return {"left out": "vLLM is not installed"}
    from vllm import LLM, SamplingParams

    chat = ChatFormat(load_tokenizer(options.base))
    ids = [{"prompt_token_ids": list(chat.prompt_ids(p.messages))} for p in prompts(options.count)]
    model = LLM(str(options.base), dtype="float32", enforce_eager=False)
    settings = SamplingParams(temperature=0.0, max_tokens=options.budget)
    seconds, answers = clock(lambda: model.generate(ids, settings))
    return {"tokens/s": round(sum(len(a.outputs[0].token_ids) for a in answers) / seconds, 1)}


def check_tickets(options: argparse.Namespace) -> dict[str, Any]:
    """The shipped example on the device, from nothing to the sealed test."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "demo"
        init(root, example="tickets", base=str(options.base.resolve()))
        began = time.monotonic()
        summary = Project.open(root, overrides={"model.device": options.device}).run()
        return {"minutes": round((time.monotonic() - began) / 60, 1), "says": summary.conclusion}


def clock(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the second call, and what it gave: the first makes code and buffers."""
    work()
    began = time.perf_counter()
    result = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began, result


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "losses": check_losses,
    "answers": check_answers,
    "choices": check_choices,
    "nf4": check_nf4,
    "split": check_split,
    "vllm": check_vllm,
    "tickets": check_tickets,
}


def main() -> None:
    """Run the parts that are named, one JSON line each."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--length", type=int, default=256, help="tokens of a training row, at most")
    parser.add_argument("--count", type=int, default=64, help="prompts and items")
    parser.add_argument("--budget", type=int, default=64, help="tokens of an answer, at most")
    options = parser.parse_args()
    if options.device != "cpu" and not torch.cuda.is_available():
        raise SystemExit("there is no CUDA GPU here; --device cpu runs the parts on the CPU")
    random.seed(0)
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    print(json.dumps({"device": name, "torch": torch.__version__, "base": options.base.name}))
    for part in options.parts.split(","):
        print(json.dumps({"part": part, **PARTS[part](options)}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
