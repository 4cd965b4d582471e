"""Training speed on CPU: this engine against TRL's SFTTrainer with PEFT, on the same rows.

    python benchmarks/train_cpu.py --models 14m-8k,130m-8k --methods lora,full
    python benchmarks/train_cpu.py --models path:DIR --layers top-10 --batch 8 --mean 134

Both sides train on the same batches in fp32, in turn, round by round; a figure is the median
over rounds of real tokens a second (padding does not count). TRL runs padded and padding-free,
without activation checkpointing. Losses of the first steps are compared. ``--bf16`` adds both sides
with products in bf16, for processors that have the instructions. ``--clock cpu`` counts
the process's CPU seconds instead of wall time: for machines that others use too (one thread).
Peers have glibc's usual memory thresholds in their turns, and what the engine kept is given back before;
some of it may still serve them, so that the ratio is rather too low.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import io
import json
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import numpy as np
import torch

from residency.config.train import TrainConfig
from residency.interfaces import TokenRow
from residency.model.free_memory import keep_memory, release_memory
from residency.model.load_model import load_model
from residency.model.peft_adapter import save_adapter
from residency.model.quiet_libraries import quiet_libraries
from residency.train.train_engine import Engine

SHAPES = {
    "14m": {
        "hidden_size": 384,
        "intermediate_size": 1024,
        "num_hidden_layers": 6,
        "num_attention_heads": 6,
        "num_key_value_heads": 6,
    },
    "130m": {
        "hidden_size": 960,
        "intermediate_size": 2560,
        "num_hidden_layers": 11,
        "num_attention_heads": 15,
        "num_key_value_heads": 15,
    },
}
PROMPT_SHARE = 0.6
CLOCK = time.perf_counter
USUAL_MEMORY = False


def use_usual_memory() -> None:
    """glibc's thresholds as they come to stand by themselves: the engine's own are not for its peers."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        release_memory()  # what the engine kept
        mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD, and twice that for M_TRIM_THRESHOLD
        mallopt(-1, 64 << 20)


def make_model(name: str, folder: Path) -> Path:
    """A random Llama-architecture model, e.g. ``14m-8k`` or ``130m-32k``; or ``path:DIR``."""
    if name.startswith("path:"):
        return Path(name.removeprefix("path:"))
    from transformers import LlamaConfig, LlamaForCausalLM

    shape, vocabulary = name.split("-")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=int(vocabulary.removesuffix("k")) * 1000,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        **SHAPES[shape],
    )
    with quiet_libraries():
        LlamaForCausalLM(config).save_pretrained(folder / name)
    return folder / name


def make_rows(count: int, vocabulary: int, mean: int, longest: int, start: int) -> list[TokenRow]:
    """Log-normal lengths; ``start`` tokens are the same in every row (a system prompt)."""
    random = np.random.default_rng(0)
    spread = 0.8
    lengths = random.lognormal(np.log(mean) - spread**2 / 2, spread, count)
    common = random.integers(3, vocabulary, start).tolist()
    rows = []
    for number, length in enumerate(np.clip(lengths, 12 + start, longest).astype(int)):
        prompt = max(4 + start, int(length * PROMPT_SHARE))
        own = random.integers(3, vocabulary, length - start - 1).tolist()
        ids = (*common, *own, 2)
        rows.append(TokenRow(str(number), ids, tuple(i >= prompt for i in range(len(ids)))))
    return rows


class Ours:
    """The engine."""

    def __init__(
        self, base: Path, settings: TrainConfig, trunk: Path, rows: list[TokenRow]
    ) -> None:
        self.engine = Engine(
            load_model(base, device="cpu"), settings, total_steps=10**6, trunk=trunk, identity="b"
        )
        began = CLOCK()
        self.engine.fill_trunk(rows)
        self.preparation = CLOCK() - began

    def run(self, batches: list[list[TokenRow]]) -> tuple[float, list[float]]:
        """Seconds and losses of these steps."""
        (use_usual_memory if USUAL_MEMORY else keep_memory)()  # a peer's turn had its own
        began = CLOCK()
        losses = [self.engine.step(batch).loss for batch in batches]
        return CLOCK() - began, losses


class Trl:
    """TRL's SFTTrainer; ``train`` is called for each round, timed from first to last step."""

    def __init__(
        self, base: Path, settings: TrainConfig, adapter: Path, free: bool, bf16: bool = False
    ) -> None:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        with quiet_libraries():
            self.model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        if settings.method == "lora":
            self.model = PeftModel.from_pretrained(self.model, adapter, is_trainable=True)
        self.settings, self.free, self.bf16 = settings, free, bf16

    def run(
        self,
        batches: list[list[TokenRow]],
        after_step: Callable[[int], None] = lambda step: None,
    ) -> tuple[float, list[float]]:
        """Seconds and losses of these steps; ``after_step`` gets the steps done so far."""
        import datasets
        from tokenizers import Tokenizer, models
        from transformers import PreTrainedTokenizerFast, TrainerCallback
        from trl import SFTConfig, SFTTrainer

        use_usual_memory()
        flat = [row for batch in batches for row in batch]
        table = datasets.Dataset.from_dict(
            {
                "input_ids": [list(r.ids) for r in flat],
                "labels": [
                    [i if m else -100 for i, m in zip(r.ids, r.mask, strict=True)] for r in flat
                ],
            }
        )
        words = Tokenizer(models.WordLevel({"<pad>": 0, "<s>": 1, "</s>": 2}, "<pad>"))
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=words, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
        )
        marks: list[float] = []
        losses: list[float] = []

        class Clock(TrainerCallback):  # type: ignore[misc]
            def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
                marks.append(CLOCK())

            def on_step_end(self, *args: Any, **kwargs: Any) -> None:
                marks.append(CLOCK())
                after_step(len(marks) // 2)

            def on_log(
                self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any
            ) -> None:
                if "loss" in logs:
                    losses.append(logs["loss"])

        class InOrder(SFTTrainer):  # type: ignore[misc]
            def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
                return torch.utils.data.SequentialSampler(self.train_dataset)

        with tempfile.TemporaryDirectory() as out, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer = InOrder(
                model=self.model,
                args=SFTConfig(
                    output_dir=out,
                    per_device_train_batch_size=len(batches[0]),
                    max_steps=len(batches),
                    learning_rate=self.settings.learning_rate,
                    lr_scheduler_type="constant",
                    warmup_steps=0,
                    weight_decay=0.0,
                    max_grad_norm=1.0,
                    logging_steps=1,
                    save_strategy="no",
                    report_to=[],
                    use_cpu=True,
                    bf16=self.bf16,
                    activation_checkpointing=False,
                    max_length=None,
                    padding_free=self.free,
                    disable_tqdm=True,
                    dataset_kwargs={"skip_prepare_dataset": True},
                ),
                train_dataset=table,
                processing_class=tokenizer,
                callbacks=[Clock()],
            )
            with contextlib.redirect_stdout(io.StringIO()):  # it prints every step
                trainer.train()
        return marks[-1] - marks[0], losses


def compare(name: str, method: str, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One model and method, all sides in turn."""
    base = make_model(name, folder)
    vocabulary = json.loads((base / "config.json").read_text())["vocab_size"]
    rows = make_rows(args.batch * args.steps * 2, vocabulary, args.mean, args.longest, args.start)
    settings = TrainConfig(
        method=method,
        layers=args.layers,
        batch_size=args.batch,
        learning_rate=1e-4,
        schedule="constant",
        warmup=0.0,
    )
    ours = Ours(base, settings, folder / "trunk", rows)
    adapter = folder / "adapter"
    if method == "lora":
        save_adapter(ours.engine.model, adapter, settings, "base")
    sides: dict[str, Any] = {"residency": ours}
    if not args.alone:
        sides["trl padding-free"] = Trl(base, settings, adapter, True)
        sides["trl padded"] = Trl(base, settings, adapter, False)
    if args.bf16:
        narrow = settings.model_copy(update={"precision": "bf16"})
        sides["residency bf16"] = Ours(base, narrow, folder / "trunk bf16", rows)
        if not args.alone:
            sides["trl padding-free bf16"] = Trl(base, settings, adapter, True, bf16=True)
            sides["trl padded bf16"] = Trl(base, settings, adapter, False, bf16=True)
    speeds: dict[str, list[float]] = {side: [] for side in sides}
    first: dict[str, list[float]] = {}
    half = [
        [rows[i : i + args.batch] for i in range(at, at + args.batch * args.steps, args.batch)]
        for at in (0, args.batch * args.steps)
    ]
    for turn in range(args.rounds + 1):  # the first round warms up and is not counted
        batches = half[turn % 2]
        tokens = sum(len(r.ids) for b in batches for r in b)
        for side, trainer in sides.items():
            seconds, losses = trainer.run(batches)
            first.setdefault(side, losses)
            if turn:
                speeds[side].append(tokens / seconds)
    medians = {side: statistics.median(values) for side, values in speeds.items()}
    result = {
        "model": name if not name.startswith("path:") else base.name,
        "method": method,
        "layers": args.layers if method == "lora" else "all",
        "tokens a second": {side: round(value) for side, value in medians.items()},
        "range": {s: [round(min(v)), round(max(v))] for s, v in speeds.items()},
        "loss difference": {
            side: max(abs(a - b) for a, b in zip(losses, first["residency"], strict=True))
            for side, losses in first.items()
        },
        "frozen layers, seconds once": round(ours.preparation, 1),
    }
    if not args.alone:
        result["times trl's best"] = tell_ratios(medians)
    return result


def tell_ratios(medians: dict[str, float]) -> dict[str, float]:
    """Each of our sides against the best of TRL's with the same products, and bf16 against the best of all."""
    theirs = {side: value for side, value in medians.items() if side.startswith("trl")}
    best = max(theirs.values())
    wide = max(value for side, value in theirs.items() if not side.endswith("bf16"))
    ratios = {"residency": round(medians["residency"] / wide, 2)}
    if "residency bf16" in medians:
        ratios["residency bf16"] = round(medians["residency bf16"] / best, 2)
    return ratios


def main() -> None:
    """Run what the arguments name and print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="14m-8k,14m-32k,130m-8k")
    parser.add_argument("--methods", default="lora,full")
    parser.add_argument("--layers", default="all")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--mean", type=int, default=120)
    parser.add_argument("--longest", type=int, default=512)
    parser.add_argument("--start", type=int, default=0, help="tokens that all rows begin with")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--alone", action="store_true", help="leave TRL out")
    parser.add_argument("--bf16", action="store_true", help="also with products in bf16")
    parser.add_argument(
        "--usual-memory",
        action="store_true",
        help="the engine too; for two calls, with and without",
    )
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    args = parser.parse_args()
    global CLOCK, USUAL_MEMORY
    USUAL_MEMORY = args.usual_memory
    if args.clock == "cpu":
        CLOCK, args.threads = time.process_time, 1
    torch.set_num_threads(args.threads)
    import peft
    import transformers
    import trl

    machine = {
        "cpu": platform.processor() or platform.machine(),
        "threads": args.threads,
        "clock": args.clock,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "peft": peft.__version__,
        "trl": trl.__version__,
    }
    print(json.dumps(machine), flush=True)
    for name in args.models.split(","):
        for method in args.methods.split(","):
            with tempfile.TemporaryDirectory() as folder:
                print(json.dumps(compare(name, method, args, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
