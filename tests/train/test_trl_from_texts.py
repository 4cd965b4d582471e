"""From texts to losses as TRL: the same conversations, its tokenisation and masks and ours, step by step."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, TrainerCallback

from infer_models import SHAPE, tokenizer
from residency.chat.chat_format import ChatFormat
from residency.config.train import TrainConfig
from residency.data.token_rows import encode_rows
from residency.model.load_model import load_tokenizer
from residency.model.peft_adapter import save_adapter
from residency.nouns.example import Example, Message
from residency.train.train_engine import Engine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of libraries, about each other
]
STEPS, BATCH, RATE = 6, 4, 2e-2
TURN = "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' }}"
ANSWER = "{{ '<|im_start|>assistant\n' }}{% generation %}{{ m['content'] + '<|im_end|>' }}{% endgeneration %}"
ASK = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
TEMPLATE = f"{{% for m in messages %}}{TURN}{{% endfor %}}{ASK}"
MARKED = f"{{% for m in messages %}}{{% if m['role'] == 'assistant' %}}{ANSWER}{{% else %}}{TURN}{{% endif %}}{{% endfor %}}{ASK}"
WORDS = [
    "kettle",
    "order",
    "broke",
    "monday",
    "new",
    "one",
    "please",
    "bird",
    "wings",
    "fish",
    "radio",
    "hums",
    "lamp",
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose template writes nothing behind the end of a turn: what stands there TRL trains, and
    we do not, since no answer is read so far."""
    folder = tmp_path_factory.mktemp("trl") / "base"
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(LlamaConfig(**SHAPE)).save_pretrained(folder)
    fast = tokenizer()
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    return folder


def write_turns(draw: random.Random, pairs: int) -> list[dict[str, str]]:
    def text() -> str:
        return " ".join(draw.choice(WORDS) for _ in range(draw.randrange(1, 9)))

    return [
        {"role": role, "content": text()} for _ in range(pairs) for role in ("user", "assistant")
    ]


def make_example(turns: Sequence[dict[str, str]], rejected: str | None = None) -> Example:
    messages = tuple(Message(t["role"], t["content"]) for t in turns)  # type: ignore[arg-type]
    return Example(messages, split="train", rejected=rejected)


def our_losses(base: Path, examples: list[Example], adapter: Path, **settings: Any) -> list[float]:
    """Our losses, and the adapter that they began with."""
    chat = ChatFormat(load_tokenizer(base))
    rows = encode_rows(examples, chat, max_length=256, truncation="drop").rows
    assert len(rows) == STEPS * BATCH
    config = TrainConfig(rank=4, alpha=8, layers="all", learning_rate=RATE, warmup=0.0, **settings)
    model = AutoModelForCausalLM.from_pretrained(base)
    engine = Engine(model, config, total_steps=1_000_000, seed=3)
    save_adapter(engine.model, adapter, config, str(base))
    return [engine.step(rows[BATCH * n : BATCH * (n + 1)]).loss for n in range(STEPS)]


def trl_losses(
    base: Path, table: list[dict[str, Any]], adapter: Path, kind: str, **own: Any
) -> list[float]:
    """TRL's, in the order of the table."""
    import datasets
    import trl
    from peft import PeftModel

    losses: list[float] = []

    class Record(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            losses.extend([logs["loss"]] if "loss" in logs else [])

    class InOrder(getattr(trl, f"{kind}Trainer")):  # type: ignore[misc]
        def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    fast = tokenizer()
    fast.chat_template = MARKED if own.get("assistant_only_loss") else TEMPLATE
    settings = {
        "output_dir": str(adapter / "trl"), "per_device_train_batch_size": BATCH, "max_steps": STEPS, "learning_rate": RATE,
        "lr_scheduler_type": "constant", "warmup_steps": 0, "weight_decay": 0.0, "max_grad_norm": 1.0, "logging_steps": 1,
        "save_strategy": "no", "report_to": [], "use_cpu": True, "bf16": False, "disable_tqdm": True, "max_length": None, "activation_checkpointing": False,
    }  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(base)
    InOrder(
        model=PeftModel.from_pretrained(model, adapter, is_trainable=True),
        args=getattr(trl, f"{kind}Config")(**settings, **own),
        train_dataset=datasets.Dataset.from_list(table),
        processing_class=fast,
        callbacks=[Record()],
    ).train()
    return losses


@pytest.mark.parametrize("beta", [0.1, 0.5])
def test_preferences_equal_trls_dpo(beta: float, base: Path, tmp_path: Path) -> None:
    draw = random.Random(1)
    examples, table = [], []
    for number in range(STEPS * BATCH):
        *prompt, good = write_turns(draw, 1 + number % 3)
        bad = write_turns(draw, 1)[1]
        examples.append(make_example([*prompt, good], bad["content"]))
        table.append({"prompt": prompt, "chosen": [good], "rejected": [bad]})
    ours = our_losses(base, examples, tmp_path, objective="dpo", beta=beta)
    theirs = trl_losses(base, table, tmp_path, "DPO", beta=beta, loss_type=["sigmoid"])
    assert ours == pytest.approx(theirs, abs=1e-4)


def test_conversations_equal_trls_loss_of_assistant_turns(base: Path, tmp_path: Path) -> None:
    draw = random.Random(2)
    turns = [write_turns(draw, 1 + n % 3) for n in range(STEPS * BATCH)]
    ours = our_losses(base, [make_example(t) for t in turns], tmp_path)
    table = [{"messages": t} for t in turns]
    theirs = trl_losses(base, table, tmp_path, "SFT", assistant_only_loss=True)
    assert ours == pytest.approx(theirs, abs=1e-4)


def test_single_turns_equal_trls_loss_of_completions(base: Path, tmp_path: Path) -> None:
    draw = random.Random(3)
    turns = [write_turns(draw, 1) for _ in range(STEPS * BATCH)]
    ours = our_losses(base, [make_example(t) for t in turns], tmp_path)
    table = [{"prompt": t[:1], "completion": t[1:]} for t in turns]
    theirs = trl_losses(base, table, tmp_path, "SFT", completion_only_loss=True)
    assert ours == pytest.approx(theirs, abs=1e-4)
