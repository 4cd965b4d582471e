"""``residency estimate`` against ``residency train``: how far off memory and time were.

    python benchmarks/train_estimate.py --base default
    python benchmarks/train_estimate.py --cases tiny-lora,random-14m

Each case is a project of its own, made from the tickets example; both commands run one after the
other, as a user would call them. Memory is the peak resident set of the training process, time is
that of its steps, evaluations, checkpoints and frozen layers.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "tiny-lora": ("tiny", {}),
    "tiny-full": ("tiny", {"method": "full"}),
    "random-14m": ("random", {"layers": "all", "epochs": 1}),
    "base-top10": ("base", {"epochs": 1}),
    "base-all": ("base", {"layers": "all", "epochs": 0.2}),
}
"""Base and ``[train]`` settings of each case; the rest is the example's."""


def random_model(folder: Path, data: Path) -> Path:
    """A random Llama of 13 M parameters, vocabulary 8 k, with a tokenizer of the project's data."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=8192,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train([str(file) for file in sorted(data.glob("*.jsonl"))], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )
    config = LlamaConfig(
        vocab_size=8192,
        hidden_size=384,
        intermediate_size=1024,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def command(*words: str) -> dict[str, Any]:
    """What a command prints as JSON."""
    line = [sys.executable, "-m", "residency", *words, "--json"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    out: dict[str, Any] = json.loads(done.stdout)
    return out


def project(root: Path, base: str, settings: dict[str, Any], threads: int) -> None:
    """The tickets example with a base and settings of its own."""
    line = [sys.executable, "-m", "residency", "init", str(root), "--example", "tickets"]
    subprocess.run(line, check=True, capture_output=True)
    if base == "random":
        base = str(random_model(root / "random", root / "data"))
    file = root / "residency.toml"
    text = re.sub(r"(?m)^base = .*\n", "", file.read_text(encoding="utf-8"))
    text = text.replace("[model]", f"[model]\nbase = {json.dumps(base)}\nthreads = {threads}")
    for name, value in settings.items():
        text = re.sub(rf"(?m)^{name} = .*\n", "", text)
        text = text.replace("[train]", f"[train]\n{name} = {json.dumps(value)}")
    file.write_text(text, encoding="utf-8")


def main() -> None:
    """Print one line a case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--base", default="default", help="folder of the larger base")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    print("| case | steps | memory estimated | real | off | seconds estimated | real | off |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.cases.split(","):
        base, settings = CASES[name]
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / name
            project(root, options.base if base == "base" else base, settings, options.threads)
            command("estimate", str(root))
            made = command("train", str(root))["training"]
        off = made["estimate"]
        real = off["seconds"] / (1 + off["time_error"])
        print(
            f"| {name} | {made['steps']} | {off['memory'] / 2**20:.0f} MiB "
            f"| {made['memory'] / 2**20:.0f} MiB | {100 * off['memory_error']:+.1f} % "
            f"| {off['seconds']:.1f} | {real:.1f} | {100 * off['time_error']:+.1f} % |",
            flush=True,
        )


if __name__ == "__main__":
    main()
