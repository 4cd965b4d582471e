"""Tiny random models of many kinds with a tokenizer, and engines on them, for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    GemmaConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from residency.chat.chat_format import ChatFormat
from residency.infer.local_engine import LocalEngine
from residency.interfaces import Prompt
from residency.model.load_model import load_tokenizer
from residency.nouns.example import Message

torch.set_num_threads(1)

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TEXT = [
    "the kettle of order 1234 broke on monday and i want a new one please",
    "question: which animal can fly? answer: a bird has wings and a fish has fins",
    "my radio hums when the lamp is on; it did so yesterday, too",
]


def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of 400 tokens with ChatML."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.train_from_iterator(
        TEXT,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
    )
    fast.chat_template = CHATML
    return fast


SHAPE: dict[str, Any] = {
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "vocab_size": 400,
    "initializer_range": 0.2,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
CONFIGS: dict[str, Any] = {
    "llama": lambda: LlamaConfig(**SHAPE, tie_word_embeddings=True),
    "llama3-rope": lambda: LlamaConfig(**SHAPE, rope_parameters=LLAMA3_ROPE),
    "llama-bias": lambda: LlamaConfig(**SHAPE, attention_bias=True),
    "mistral": lambda: MistralConfig(**SHAPE, sliding_window=None, head_dim=16),
    "qwen2": lambda: Qwen2Config(**SHAPE),
    "qwen3": lambda: Qwen3Config(**SHAPE, head_dim=16),
    "mistral-window": lambda: MistralConfig(**SHAPE, sliding_window=24),
    "gemma": lambda: GemmaConfig(**SHAPE, head_dim=8),
    "gpt2": lambda: GPT2Config(
        n_embd=48, n_layer=2, n_head=4, n_positions=256, vocab_size=400, initializer_range=0.2,
        bos_token_id=1, eos_token_id=2, pad_token_id=2,
    ),
}  # fmt: skip
FUSED = ("llama", "llama3-rope", "llama-bias", "mistral", "qwen2", "qwen3")


def folder(at: Path, kind: str) -> Path:
    """A saved random model with its tokenizer; biases and norms are random too."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIGS[kind]())
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("bias") or "norm" in name:
                value.add_(torch.randn_like(value) * 0.1)
    model.generation_config.pad_token_id = 2
    model.save_pretrained(at)
    tokenizer().save_pretrained(at)
    return at


def engine(base: Path, **settings: Any) -> LocalEngine:
    """An engine on CPU with one thread."""
    chat = ChatFormat(load_tokenizer(base))
    return LocalEngine(base, chat, device="cpu", threads=1, **settings)


def prompts(count: int = 11) -> list[Prompt]:
    """Conversations of varied length with a common system message."""
    system = Message("system", "answer in one short line, please")
    return [
        Prompt(
            (system, Message("user", (TEXT[at % 3] + " ") * (1 + at % 4) + str(at))), key=str(at)
        )
        for at in range(count)
    ]
