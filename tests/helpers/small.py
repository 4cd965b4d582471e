"""A small random model and a small project, for tests that run the whole loop in seconds."""

from __future__ import annotations

import json
import random
from pathlib import Path

COLOURS = ("red", "blue", "green", "brown")
THINGS = ("cup", "hat", "box", "pen", "lamp", "coat")
OPENINGS = {
    "train": ("I bought a", "Here is my", "Please look at the"),
    "dev": ("Could you take this", "We received one"),
    "test": ("Kindly see our", "Someone sent the"),
    "pool": ("I bought a", "This is a", "Please look at the", "They gave me the"),
}

RIVERS = """task = "rivers"
output_type = "multiple_choice"
dataset_path = "json"
dataset_kwargs = {data_files = {test = "questions.jsonl"}}
test_split = "test"
doc_to_text = "{{question}}"
doc_to_choice = ["yes", "no"]
doc_to_target = "answer"
metric_list = [{metric = "acc"}]
"""
"""A benchmark of questions in ``questions.jsonl``: question, and 0 or 1 for yes or no."""


def save_model(folder: Path, *, architecture: str = "llama", seed: int = 0) -> Path:
    """A random two-layer model with a byte-level tokenizer of 320 entries."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import (
        LlamaConfig,
        LlamaForCausalLM,
        PreTrainedTokenizerFast,
        Qwen3Config,
        Qwen3ForCausalLM,
    )

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    rows = [line for split in OPENINGS for line in (r["input"] for r in make_rows(40, split))]
    tokenizer.train_from_iterator(rows, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>" if architecture == "llama" else "<|im_end|>",
    )
    shape = {
        "vocab_size": len(tokenizer.get_vocab()),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2 if architecture == "llama" else 4,
    }
    torch.manual_seed(seed)
    if architecture == "qwen3":
        fast.chat_template = (
            "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
            "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
        )
        model = Qwen3ForCausalLM(Qwen3Config(head_dim=8, **shape))
    else:
        model = LlamaForCausalLM(LlamaConfig(**shape))
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def make_rows(count: int, split: str, seed: int = 0) -> list[dict[str, object]]:
    """Alpaca rows: a sentence with a colour and a thing → two fields."""
    rng = random.Random(f"{split} {seed}")
    rows = []
    for number in range(count):
        colour, thing = rng.choice(COLOURS), rng.choice(THINGS)
        code = rng.randint(100, 999)
        rows.append(
            {
                "instruction": "Name colour and thing.",
                "input": f"{rng.choice(OPENINGS[split])} {colour} {thing} {split[0]}{code}",
                "response": f"colour: {colour}\nthing: {thing}",
                "tags": [f"colour={colour}"],
                "group": f"{split}-{number // 2 if split == 'dev' else number}",
            }
        )
    return rows


def save_project(folder: Path, model: Path, *, rounds: int = 2, epochs: int = 2) -> Path:
    """A project of a few rows on a model's folder."""
    folder.mkdir(parents=True)
    for split, count in {"train": 16, "dev": 12, "test": 8, "pool": 30}.items():
        lines = [json.dumps(row) for row in make_rows(count, split)]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "residency.toml").write_text(
        f"""
[project]
name = "small"
[model]
base = {json.dumps(str(model))}
max_length = 256
threads = 1
[data]
train = ["train.jsonl"]
dev = ["dev.jsonl"]
test = ["test.jsonl"]
pool = ["pool.jsonl"]
[train]
layers = "top-1"
rank = 4
alpha = 8
epochs = {epochs}
batch_size = 4
[generate]
max_new_tokens = 12
[evaluate]
few_shot = 1
[diagnose]
min_items = 2
max_issues = 4
[target]
rows_per_issue = 4
max_rows = 8
[rounds]
max = {rounds}
"""
    )
    return folder
