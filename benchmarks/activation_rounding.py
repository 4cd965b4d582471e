"""What 8-bit inputs of the down projections do to a model whose weights are not rounded.

    python benchmarks/activation_rounding.py [BASE]      # smollm2-135m

llama.cpp rounds the inputs of quantised matrices in blocks of 32 (``q8_0``) or 256 (K types). The same
rounding in transformers, and nothing else, tells whether a bad answer of a file comes from there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from residency.model.base_model import resolve_base

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def round_inputs(block: int) -> Callable[[Any, tuple[torch.Tensor, ...]], tuple[torch.Tensor]]:
    """A hook that rounds a layer's input to 8 bits, with one scale for each block of columns."""

    def hook(_: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        blocks = inputs[0].reshape(*inputs[0].shape[:-1], -1, block)
        scale = (blocks.abs().amax(-1, keepdim=True) / 127).clamp_min(1e-12)
        return (((blocks / scale).round() * scale).reshape(inputs[0].shape),)

    return hook


def main() -> None:
    """Answer with and without rounding; then the largest input of every layer."""
    base = resolve_base(sys.argv[1] if len(sys.argv) > 1 else "smollm2-135m")
    tokenizer = AutoTokenizer.from_pretrained(base.path)
    model = AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.float32).eval()
    inputs = tokenizer.apply_chat_template(
        QUESTION, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    downs = [layer.mlp.down_proj for layer in model.model.layers]
    for block in (0, 32, 256):
        hooks = [d.register_forward_pre_hook(round_inputs(block)) for d in downs if block]
        with torch.no_grad():
            written = model.generate(**inputs, max_new_tokens=20, do_sample=False)
        answer = tokenizer.decode(written[0, inputs["input_ids"].shape[1] :])
        print(f"blocks of {block}:" if block else "not rounded:", repr(answer))
        for hook in hooks:
            hook.remove()
    largest: list[float] = []
    for down in downs:
        down.register_forward_pre_hook(lambda _, x: largest.append(float(x[0].abs().max())))
    with torch.no_grad():
        model(**inputs)
    print("largest input by layer:", " ".join(f"{value:.0f}" for value in largest))


if __name__ == "__main__":
    main()
