"""How far quantised files, and 8-bit inputs alone, take a base's next tokens from those of fp32.

    python benchmarks/activation_rounding.py [BASE] [--files f16,q8_0,q4_k_m]      # smollm2-135m

Nats of Kullback-Leibler divergence over the 40 likeliest tokens, at every place of fp32's own greedy
answers: unlike one greedy answer it does not turn over where two tokens are nearly as likely. First
with fp32 weights and rounded inputs (blocks of 32 values as for ``q8_0``, 256 as for the K types), then
with files, by llama.cpp. The tokens with which the first answer may begin stand beside it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import torch
from transformers import AutoModelForCausalLM

from residency.chat.chat_format import ChatFormat
from residency.export.gguf_file import write_gguf
from residency.export.llamacpp_consumer import open_llamacpp
from residency.model.base_model import resolve_base
from residency.model.load_model import load_tokenizer
from residency.nouns.example import Message

QUESTIONS = (
    "What is the capital of France?",
    "Name three colours.",
    "How many legs does a spider have?",
    "My kettle leaks, order 48213. What can I do?",
    "Translate 'good morning' into Spanish.",
    "Write one sentence about rain.",
    "What is 7 times 8?",
    "Who wrote Hamlet?",
)
TOKENS, TOPS = 8, 40
Tops = dict[int, float]
"""Log-probabilities of the likeliest tokens by id."""


def round_inputs(block: int) -> Callable[[Any, tuple[torch.Tensor, ...]], tuple[torch.Tensor]]:
    """A hook that rounds a layer's input to 8 bits, with one scale for each block of columns."""

    def hook(_: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        columns = inputs[0].shape[-1]
        padded = torch.nn.functional.pad(inputs[0], (0, -columns % block))
        blocks = padded.unflatten(-1, (-1, block))
        scale = (blocks.abs().amax(-1, keepdim=True) / 127).clamp_min(1e-12)
        return (((blocks / scale).round() * scale).flatten(-2)[..., :columns],)

    return hook


def measure_divergence(reference: Sequence[Tops], other: Sequence[Tops]) -> float:
    """Mean over places; a token that the other side does not list has its least probability."""
    total = 0.0
    for right, seen in zip(reference, other, strict=True):
        least = min(seen.values())
        for token, logprob in right.items():
            total += torch.tensor(logprob).exp().item() * (logprob - seen.get(token, least))
    return total / len(reference)


def list_tops(model: Any, sequences: Sequence[list[int]], starts: Sequence[int]) -> list[Tops]:
    """The likeliest tokens at every place of every answer, in transformers."""
    out = []
    with torch.inference_mode():
        for ids, start in zip(sequences, starts, strict=True):
            scores = model(torch.tensor([ids])).logits[0, start - 1 : -1].log_softmax(-1)
            for row in scores:
                best = row.topk(TOPS)
                out.append(dict(zip(best.indices.tolist(), best.values.tolist(), strict=True)))
    return out


def list_file_tops(file: Path, sequences: Sequence[list[int]], starts: Sequence[int]) -> list[Tops]:
    """The same by llama.cpp."""
    out = []
    with open_llamacpp(file, context=512) as consumer:
        client: httpx.Client = consumer._client
        for ids, start in zip(sequences, starts, strict=True):
            for end in range(start, len(ids)):
                asked = {"prompt": ids[:end], "n_predict": 1, "n_probs": TOPS, "temperature": 0.0}
                place = client.post("/completion", json=asked).json()["completion_probabilities"][0]
                out.append({top["id"]: top["logprob"] for top in place["top_logprobs"]})
    return out


def main() -> None:
    """Measure and print one line for each way of rounding."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("base", nargs="?", default="smollm2-135m")
    parser.add_argument("--files", default="f16,q8_0,q6_k,q5_k_m,q4_k_m,q4_1,q4_0")
    options = parser.parse_args()
    base = resolve_base(options.base)
    chat = ChatFormat(load_tokenizer(base.path))
    model = AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.float32).eval()
    prompts = [chat.prompt_ids([Message("user", question)]) for question in QUESTIONS]
    sequences = [
        model.generate(torch.tensor([ids]), max_new_tokens=TOKENS, do_sample=False)[0].tolist()
        for ids in prompts
    ]
    starts = [len(ids) for ids in prompts]
    reference = list_tops(model, sequences, starts)

    def report(name: str, tops: Sequence[Tops]) -> None:
        same = sum(max(a, key=a.__getitem__) == max(b, key=b.__getitem__) for a, b in zip(reference, tops, strict=True))  # fmt: skip
        first = sorted(tops[0].items(), key=lambda pair: -pair[1])[:3]
        begins = ", ".join(
            f"{chat.decode([t])} {100 * (torch.tensor(p).exp()):.1f} %" for t, p in first
        )
        nats = measure_divergence(reference, tops)
        print(f"{name:28} {nats:.4f} nats, same likeliest token {same} of {len(tops)}; {begins}", flush=True)  # fmt: skip

    report("fp32", reference)
    linear = [m for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and "lm_head" not in n]  # fmt: skip
    downs = [layer.mlp.down_proj for layer in model.model.layers]
    for block in (32, 256):
        for name, modules in (("down projections", downs), ("all matrices", linear)):
            hooks = [module.register_forward_pre_hook(round_inputs(block)) for module in modules]
            report(f"inputs by {block}, {name}", list_tops(model, sequences, starts))
            for hook in hooks:
                hook.remove()
    with tempfile.TemporaryDirectory() as work:
        for quantisation in options.files.split(","):
            file = Path(work) / f"{quantisation}.gguf"
            write_gguf(base.path, file, quantisation, chat=chat)
            report(f"{quantisation}, {file.stat().st_size / 1e6:.0f} MB", list_file_tops(file, sequences, starts))  # fmt: skip
            file.unlink()


if __name__ == "__main__":
    main()
