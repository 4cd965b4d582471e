"""The losses that TRL's SFTTrainer logs for given rows in a given order, fp32, at a constant rate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from residency.interfaces import TokenRow


def train_with_trl(
    model: Any, batches: Sequence[Sequence[TokenRow]], learning_rate: float, folder: Path
) -> list[float]:
    """One loss a step; all batches must be of one size."""
    import datasets
    import torch
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    flat = [row for batch in batches for row in batch]
    labels = [[i if m else -100 for i, m in zip(r.ids, r.mask, strict=True)] for r in flat]
    table = datasets.Dataset.from_dict({"input_ids": [list(r.ids) for r in flat], "labels": labels})
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"<pad>": 0, "<s>": 1, "</s>": 2}, "<pad>")),
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
    )
    losses: list[float] = []

    class Record(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if "loss" in logs:
                losses.append(logs["loss"])

    class InOrder(SFTTrainer):  # type: ignore[misc]
        def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    trainer = InOrder(
        model=model,
        args=SFTConfig(
            output_dir=str(folder),
            per_device_train_batch_size=len(batches[0]),
            max_steps=len(batches),
            learning_rate=learning_rate,
            lr_scheduler_type="constant",
            warmup_steps=0,
            weight_decay=0.0,
            max_grad_norm=1.0,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            bf16=False,
            activation_checkpointing=False,
            max_length=None,
            disable_tqdm=True,
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=table,
        processing_class=tokenizer,
        callbacks=[Record()],
    )
    trainer.train()
    return losses
