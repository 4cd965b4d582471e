"""Small tokenizers and random conversations, to hold ``ChatFormat`` against real chat templates.

The templates of the model families are read from the installed ``trl`` (a development
dependency), which ships them as their makers published them; those that it lacks (Mistral,
ChatML with a default system prompt) are written here from their documented form.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from residency.nouns.example import Message

MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
    "{% elif m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)
MISTRAL_V3 = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST]' + m.content + '[/INST]' }}"
    "{% elif m.role == 'assistant' %}{{ m.content | trim + eos_token }}"
    "{% elif m.role == 'system' %}{{ '[SYSTEM_PROMPT]' + m.content + '[/SYSTEM_PROMPT]' }}{% endif %}{% endfor %}"
)
LLAMA_2 = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' + m.content | trim + ' [/INST]' }}"
    "{% elif m.role == 'assistant' %}{{ ' ' + m.content | trim + ' ' + eos_token }}{% endif %}{% endfor %}"
)
CHATML_DEFAULT_SYSTEM = (
    "{% for m in messages %}{% if loop.first and m.role != 'system' %}"
    "{{ '<|im_start|>system\nYou are a careful clerk.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
ZEPHYR = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + eos_token + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
WRITTEN = {
    "mistral": MISTRAL,
    "mistral_v3": MISTRAL_V3,
    "llama2": LLAMA_2,
    "chatml": CHATML_DEFAULT_SYSTEM,
    "zephyr": ZEPHYR,
}
# family: end token, BOS, kind of tokenizer, whether a system message and tool calls are allowed
FAMILIES: dict[str, tuple[str, str, str, bool, bool]] = {
    "llama3": ("<|eot_id|>", "<|begin_of_text|>", "bytes", True, False),
    "llama3_1": ("<|eot_id|>", "<|begin_of_text|>", "bytes", True, True),
    "llama3_2": ("<|eot_id|>", "<|begin_of_text|>", "bytes", True, True),
    "qwen2_5": ("<|im_end|>", "", "bytes", True, True),
    "qwen3": ("<|im_end|>", "", "bytes", True, True),
    "qwen3_instruct_2507": ("<|im_end|>", "", "bytes", True, True),
    "gemma": ("<eos>", "<bos>", "metaspace", False, False),
    "gemma3": ("<eos>", "<bos>", "metaspace", True, False),
    "phi3": ("<|endoftext|>", "<s>", "metaspace", True, False),
    "phi3_5": ("<|endoftext|>", "<s>", "metaspace", True, False),
    "mistral": ("</s>", "<s>", "metaspace", False, False),
    "mistral_v3": ("</s>", "<s>", "bytes", True, False),
    "llama2": ("</s>", "<s>", "metaspace", False, False),
    "chatml": ("<|im_end|>", "<|im_start|>", "bytes", True, False),
    "zephyr": ("</s>", "<s>", "metaspace", True, False),
    "lfm2": ("<|im_end|>", "<|startoftext|>", "bytes", True, False),
    "cohere": ("<|END_OF_TURN_TOKEN|>", "<BOS_TOKEN>", "bytes", True, False),
}
ADDED = re.compile(
    r"<\|[\w ]+\|>|<(?:bos|eos|BOS_TOKEN|start_of_turn|end_of_turn)>|</?s>|</?think>|</?tool_(?:call|response)>"
)
V3_MARKS = ["[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"]


def template_of(family: str) -> str:
    """Text of a family's template."""
    if family in WRITTEN:
        return WRITTEN[family]
    trl = pytest.importorskip("trl", reason="the families' templates are read from trl")
    path = Path(trl.__file__).parent / "chat_templates" / f"{family}.jinja"
    if not path.is_file():
        pytest.skip(f"this trl has no template {family}")
    return path.read_text()


def tokenizer_of(family: str, *, template: str | None = "own", adds_bos: bool = False) -> Any:
    """A tokenizer of about 600 entries of the family's kind, with the family's marks added."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    end, bos, kind, _, _ = FAMILIES[family]
    text = template_of(family)
    marks = [m for m in dict.fromkeys([*ADDED.findall(text), end, bos, "<unk>"]) if m]
    marks += V3_MARKS if family == "mistral_v3" else []
    marks += ["<|user|>", "<|assistant|>", "<|system|>"] if family == "phi3" else []
    words = json.dumps([m.to_dict() for n in range(60) for m in conversation(random.Random(n))])
    if kind == "bytes":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        tokenizer.decoder = decoders.Sequence(
            [
                decoders.Replace("▁", " "),
                decoders.ByteFallback(),
                decoders.Fuse(),
                decoders.Strip(" ", 1, 0),
            ]
        )
        alphabet = []
    byte_tokens = [f"<0x{n:02X}>" for n in range(256)] if kind != "bytes" else []
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=[*byte_tokens, "<unk>"],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator([words, template_of(family)], trainer)
    if byte_tokens:  # they were special only so that they get an entry
        raw = json.loads(tokenizer.to_str())
        raw["added_tokens"] = [t for t in raw["added_tokens"] if t["content"] == "<unk>"]
        tokenizer = Tokenizer.from_str(json.dumps(raw))
    plain = {"<think>", "</think>", "<tool_call>", "</tool_call>"}
    tokenizer.add_special_tokens(
        [AddedToken(m, special=True, normalized=False) for m in marks if m not in plain]
    )
    tokenizer.add_tokens([AddedToken(m, normalized=False) for m in marks if m in plain])
    if adds_bos:
        tokenizer.post_processor = TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=end, bos_token=bos or None, unk_token="<unk>"
    )
    fast.chat_template = text if template == "own" else template
    return fast


PHRASES = (
    "My kettle broke", "order 4711-B", "Grüße aus Köln", "日本語のテスト", "ok", "{json: [1, 2]}",
    "a  b   c", "line\nline\n\nline", "🙂👍🏽", "x = y_1 * 2", "- item\n- item", "naïve café", "…", "\ttab",
    "Please help me with the machine that I bought last week", "٣٤", "50 % off!",
)  # fmt: skip


def sentence(rng: random.Random) -> str:
    """Some phrases, never beginning with white space."""
    text = rng.choice((" ", "\n", ", ")).join(rng.choices(PHRASES, k=rng.randint(1, 5)))
    return text.strip() or "x"


def conversation(
    rng: random.Random,
    *,
    system: bool = True,
    tools: bool = False,
    thinking: bool = False,
    turns: int | None = None,
) -> list[Message]:
    """A random conversation that ends with the assistant."""
    out: list[Message] = []
    if system and rng.random() < 0.4:
        out.append(Message("system", sentence(rng)))
    for _ in range(turns or rng.randint(1, 4)):
        out.append(Message("user", sentence(rng)))
        if tools and rng.random() < 0.3:
            call = {"type": "function", "function": {"name": "find", "arguments": {"q": "kettle"}}}
            out.append(Message("assistant", "", tool_calls=(call,)))
            out.append(Message("tool", sentence(rng)))
        thought = sentence(rng) if thinking and rng.random() < 0.5 else ""
        out.append(Message("assistant", sentence(rng), thinking=thought))
    return out


def as_dicts(messages: list[Message]) -> list[dict[str, Any]]:
    """Messages as transformers' ``apply_chat_template`` takes them."""
    out = []
    for message in messages:
        value: dict[str, Any] = {"role": message.role, "content": message.text}
        if message.tool_calls:
            value["tool_calls"] = [dict(c) for c in message.tool_calls]
        if message.thinking:
            value["reasoning_content"] = message.thinking
        out.append(value)
    return out
