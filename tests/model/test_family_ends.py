"""Bases of the common families declare one end while their templates write another: all leave."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedTokenizerFast,
)

from residency.chat.chat_format import ChatFormat
from residency.config.train import TrainConfig
from residency.interfaces import TokenRow
from residency.model.load_model import load_tokenizer
from residency.model.merging import merge_adapter
from residency.nouns.example import Message
from residency.train.train_loop import train
from residency.train.train_options import TrainOptions

trl = pytest.importorskip("trl", reason="the templates are read from trl")
TEMPLATES = Path(trl.__file__).parent / "chat_templates"
MARKS = re.compile(r"<\|[a-z_]{1,30}\|>|<(?:bos|eos|start_of_turn|end_of_turn)>|\[gMASK\]|<sop>")


@dataclass(frozen=True)
class Family:
    """What a family's folder declares as its end, and the token that ends its turns."""

    template: str
    declared: tuple[str, ...]
    turn_end: str
    begin: str


FAMILIES = {
    "llama 3": Family("llama3", ("<|end_of_text|>",), "<|eot_id|>", "<|begin_of_text|>"),
    "gemma": Family("gemma", ("<eos>",), "<end_of_turn>", "<bos>"),
    "glm 4": Family("glm4moe", ("<|endoftext|>",), "<|user|>", "<sop>"),
    "phi 3": Family("phi3", ("<|endoftext|>",), "<|end|>", "<s>"),
    "qwen 3": Family("qwen3", ("<|endoftext|>",), "<|im_end|>", "<|bos|>"),
}


def save_base(folder: Path, family: Family) -> Path:
    """A small random model with the family's template, whose files declare the other end alone."""
    template = (TEMPLATES / f"{family.template}.jinja").read_text(encoding="utf-8")
    marks = list(
        dict.fromkeys(
            [*MARKS.findall(template), *family.declared, family.turn_end, family.begin, "<|pad|>"]
        )
    )
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={c: n for n, c in enumerate(letters)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens([AddedToken(mark, normalized=False) for mark in marks])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token=family.declared[0],
        bos_token=family.begin,
        pad_token="<|pad|>",
    )
    fast.chat_template = template
    ends = [fast.convert_tokens_to_ids(mark) for mark in family.declared]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.2,
        tie_word_embeddings=True,
        bos_token_id=fast.bos_token_id,
        eos_token_id=ends[0],
        pad_token_id=fast.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=ends[0])
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


class SayEnd(LogitsProcessor):
    """Writes the end of a turn at a place, as a trained model would."""

    def __init__(self, place: int, end: int) -> None:
        self.place, self.end = place, end

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The end alone can be picked there."""
        if ids.shape[1] >= self.place:
            scores = torch.full_like(scores, -torch.inf)
            scores[:, self.end] = 0.0
        return scores


def teach_one_answer(base: Path, chat: ChatFormat) -> tuple[list[TokenRow], list[int]]:
    """Rows that say the same short thing, and the prompt that they answer."""
    asked = Message("user", "Hi")
    encoded = chat.encode([asked, Message("assistant", "ok")])
    row = TokenRow("row", tuple(encoded.ids), tuple(encoded.mask))
    return [row] * 4, chat.prompt_ids([asked])


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_pain_33_every_end_of_a_family_leaves_and_stock_generate_stops(
    name: str, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    family = FAMILIES[name]
    base = save_base(tmp_path / "base", family)
    tokenizer = load_tokenizer(base)
    chat = ChatFormat(tokenizer)
    turn_end = tokenizer.convert_tokens_to_ids(family.turn_end)
    declared = [tokenizer.convert_tokens_to_ids(mark) for mark in family.declared]
    rows, prompt = teach_one_answer(base, chat)
    assert turn_end in rows[0].ids
    settings = TrainConfig(
        rank=8, layers="all", epochs=4, batch_size=4, learning_rate=2e-2, warmup=0
    )
    run = train(base, rows, settings, tmp_path / "run", TrainOptions(seed=1))
    proof = merge_adapter(base, run.folder, tmp_path / "merged")
    assert {turn_end, *declared} <= set(proof.ends)

    merged = tmp_path / "merged"
    model = AutoModelForCausalLM.from_pretrained(merged)
    stock = AutoTokenizer.from_pretrained(merged)
    for ends in (model.generation_config.eos_token_id, model.config.eos_token_id):
        assert {turn_end, *declared} <= set(ends)
    kept = json.loads((merged / "tokenizer_config.json").read_text(encoding="utf-8"))["eos_token"]
    assert kept in (family.turn_end, *family.declared)
    if "eos_token" not in (TEMPLATES / f"{family.template}.jinja").read_text(encoding="utf-8"):
        assert stock.eos_token_id == turn_end
    out = model.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        max_new_tokens=16,
        do_sample=False,
        logits_processor=LogitsProcessorList([SayEnd(len(prompt) + 3, turn_end)]),
    )[0, len(prompt) :].tolist()
    assert out.count(turn_end) == 1
    assert out[-1] == turn_end
    assert len(out) <= 4
