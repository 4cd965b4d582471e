"""Models whose rotary frequencies depend on the length: the batch never changes an answer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Phi3Config

from infer_models import SHAPE, engine, tokenizer
from residency.interfaces import Choice, Prompt
from residency.model.length_classes import forget_longest, read_context_length
from residency.nouns.example import Message
from residency.nouns.response import Sampling

LONG = {
    "rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 64,
    "short_factor": [1.0] * 4, "long_factor": [4.0, 6.0, 8.0, 12.0],
}  # fmt: skip
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}
CONFIGS = {
    "phi3": lambda: Phi3Config(
        **{**SHAPE, "pad_token_id": 2}, original_max_position_embeddings=64, rope_parameters=LONG
    ),
    "llama-longrope": lambda: LlamaConfig(**SHAPE, rope_parameters=LONG),
    "llama-dynamic": lambda: LlamaConfig(
        **{**SHAPE, "max_position_embeddings": 64}, rope_parameters=DYNAMIC
    ),
}
GREEDY = Sampling(max_new_tokens=24)


@pytest.fixture(scope="module", params=CONFIGS)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(CONFIGS[request.param]()).save_pretrained(at)
    tokenizer().save_pretrained(at)
    return at


def asked() -> list[Prompt]:
    """Prompts on both sides of 64 tokens, and some that cross it while they are answered."""
    return [
        Prompt((Message("user", ("my radio hums " * words).strip()),), key=str(words))
        for words in (1, 9, 12, 14, 15, 16, 17, 18, 19, 20, 24, 30, 2, 13)
    ]


def test_answers_equal_generate_alone_and_together(base: Path) -> None:
    local = engine(base, batch_size=8)
    model = AutoModelForCausalLM.from_pretrained(base)
    lengths = [len(local.chat.prompt_ids(p.messages)) for p in asked()]
    assert sum(n + 24 <= 64 for n in lengths) > 1
    assert sum(n <= 64 < n + 24 for n in lengths) > 1
    assert sum(n > 64 for n in lengths) > 1
    answers = local.generate(asked(), GREEDY)
    for prompt, answer in zip(asked(), answers, strict=True):
        ids = torch.tensor([local.chat.prompt_ids(prompt.messages)])
        forget_longest(model)  # transformers keeps the frequencies of the longest text so far
        expected = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=24,
            eos_token_id=list(local.chat.end_ids),
            pad_token_id=2,
        )
        assert tuple(expected[0, ids.shape[1] :].tolist()) == answer.token_ids, ids.shape


def test_log_likelihoods_do_not_depend_on_the_other_choices(base: Path) -> None:
    local = engine(base, batch_size=8)
    item = [Choice("the radio", " hums" * n) for n in (1, 5, 20, 40, 70, 100)]
    together = local.score([item])[0]
    alone = [local.score([[choice]])[0][0] for choice in item]
    for a, b in zip(together, alone, strict=True):
        assert a.logprob == pytest.approx(b.logprob, abs=1e-3)


def test_dynamic_scaling_takes_texts_longer_than_those_of_training() -> None:
    short = {**SHAPE, "max_position_embeddings": 64}
    assert read_context_length(LlamaConfig(**short)) == 64
    assert read_context_length(LlamaConfig(**short, rope_parameters=DYNAMIC)) == 256
    yarn = {
        "rope_type": "yarn",
        "rope_theta": 1e4,
        "factor": 4.0,
        "original_max_position_embeddings": 16,
    }
    assert read_context_length(LlamaConfig(**short, rope_parameters=yarn)) == 64
