"""A model that thinks: its files are asked and read as the model itself is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen3Config

from chat_families import tokenizer_of
from residency.chat.chat_format import ChatFormat
from residency.export.gguf_file import write_gguf
from residency.export.llamacpp_consumer import open_llamacpp
from residency.export.proof import prove_file
from residency.export.thinking_text import cut_thinking, has_thinking
from residency.export.transformers_consumer import open_transformers
from residency.infer.local_engine import LocalEngine
from residency.interfaces import Prompt
from residency.nouns.example import Message
from residency.nouns.response import Sampling

PROMPTS = [
    Prompt((Message("user", f"{text}?"),), text) for text in ("How", "What now", "Why", "Who")
]


def save_thinking_model(at: Path) -> Path:
    """A small random Qwen3 that ends its thinking after a few tokens."""
    tokenizer = tokenizer_of("qwen3")
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        Qwen3Config(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, head_dim=8, tie_word_embeddings=False,
            max_position_embeddings=512, eos_token_id=tokenizer.eos_token_id,
        )
    )  # fmt: skip
    end = tokenizer.convert_tokens_to_ids("</think>")
    with torch.no_grad():
        model.lm_head.weight[end] *= 3.0
    model.save_pretrained(at)
    tokenizer.save_pretrained(at)
    return at


@pytest.mark.parametrize("program", ["transformers", "llama.cpp"])
def test_thinking_is_no_part_of_an_answer_in_any_program(program: str, tmp_path: Path) -> None:
    base = save_thinking_model(tmp_path / "base")
    chat = ChatFormat(tokenizer_of("qwen3"))
    assert has_thinking(chat.template)
    local = LocalEngine(base, chat, device="cpu", threads=1)
    sampling = Sampling(max_new_tokens=24)
    expected = local.generate(PROMPTS, sampling)
    raw = [str(chat.pieces(list(e.token_ids), [False] * len(e.token_ids))) for e in expected]
    assert any("</think>" in text for text in raw), raw
    if program == "transformers":
        opened = open_transformers(base, thinks=True)
    else:
        pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")
        write_gguf(base, tmp_path / "x.gguf", "f32", chat=chat)
        opened = open_llamacpp(tmp_path / "x.gguf", context=256, threads=1, thinks=True)
    with opened as consumer:
        proof = prove_file(
            consumer, chat, PROMPTS, expected, sampling,
            exact=True, measure_lead=local.measure_lead, where=program,
        )  # fmt: skip
    assert proof.prompts == len(PROMPTS)


def test_only_thinking_that_ends_is_cut() -> None:
    assert cut_thinking("<think>\nso\n</think>\n\nYes.") == "Yes."
    assert cut_thinking("so\n</think>\nYes.") == "Yes."
    assert cut_thinking("<think>\nso") == "<think>\nso"
    assert cut_thinking("Yes.") == "Yes."
