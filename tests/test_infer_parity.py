"""The local engine against transformers itself, on tiny random models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
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

from residency.chat import ChatFormat
from residency.infer import LocalEngine
from residency.model.load import load_tokenizer
from residency.types import Choice, Generation, Message, Prompt, Sampling

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


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder a kind of model."""
    root = tmp_path_factory.mktemp("bases")
    return {kind: folder(root / kind, kind) for kind in CONFIGS}


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


def reference(
    local: LocalEngine, asked: Sequence[Prompt], budget: int
) -> list[tuple[tuple[int, ...], float]]:
    """What transformers.generate writes for each prompt alone, and its log-probability."""
    out = []
    ends = list(local.chat.end_ids)
    for prompt in asked:
        ids = torch.tensor([local.chat.prompt_ids(prompt.messages)])
        with torch.inference_mode():
            found = local.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=budget,
                eos_token_id=ends,
                pad_token_id=2,
                output_logits=True,
                return_dict_in_generate=True,
            )
        tokens = tuple(found.sequences[0, ids.shape[1] :].tolist())
        logits = torch.cat(found.logits).log_softmax(-1)
        total = sum(float(row[token]) for row, token in zip(logits, tokens, strict=True))
        out.append((tokens, total))
    return out


def tokens_of(answers: Sequence[Generation]) -> list[tuple[int, ...]]:
    """The ids of each answer."""
    return [answer.token_ids for answer in answers]


@pytest.mark.parametrize("kind", CONFIGS)
def test_greedy_equals_transformers_generate(kind: str, bases: dict[str, Path]) -> None:
    local = engine(bases[kind], batch_size=4)
    assert (local.fused is not None) == (kind in FUSED), local.why_generic
    asked = prompts()
    expected = reference(local, asked, 20)
    answers = local.generate(asked, Sampling(max_new_tokens=20))
    assert tokens_of(answers) == [tokens for tokens, _ in expected]
    for answer, (_, logprob) in zip(answers, expected, strict=True):
        assert answer.logprob == pytest.approx(logprob, abs=1e-3)
        assert answer.finish == ("stop" if answer.token_ids[-1] in local.chat.end_ids else "length")


def choices() -> list[list[Choice]]:
    """Items that share a prefix, items that do not, and choices with unlike contexts."""
    shots = "question: is the radio on? answer: yes\n\nquestion: can a fish fly? answer: no\n\n"
    items = [
        [
            Choice(f"{shots}question: number {n}? answer:", f" {word}")
            for word in ("a", "the bird", "x")
        ]
        for n in range(5)
    ]
    items.append([Choice("my lamp is", " on"), Choice("my lamp is", " broken and hums")])
    items.append([Choice("a radio", " hums"), Choice("no kettle", " hums")])
    items.append([Choice("", "the kettle"), Choice("", "the lamp")])
    items.append([Choice("order ", "1234"), Choice("order ", "12345")])
    return items


@pytest.mark.parametrize("kind", CONFIGS)
def test_log_likelihoods_equal_a_plain_forward(kind: str, bases: dict[str, Path]) -> None:
    local = engine(bases[kind], batch_size=3)
    token = local.tokenizer
    for item, scores in zip(choices(), local.score(choices()), strict=True):
        for choice, score in zip(item, scores, strict=True):
            context = choice.context.rstrip()
            head = token.encode(context) if context else [token.bos_token_id]
            whole = token.encode(choice.context + choice.continuation)
            tail = whole[len(head) :] if context else whole
            ids = torch.tensor([head + tail])
            with torch.inference_mode():
                logits = local.model(input_ids=ids).logits[0].log_softmax(-1)
            rows = logits[len(head) - 1 : -1]
            want = torch.tensor(tail)
            expected = rows.gather(1, want[:, None]).sum().item()
            assert score.logprob == pytest.approx(expected, abs=1e-4)
            assert score.tokens == len(tail)
            assert score.greedy == bool((rows.argmax(-1) == want).all())
