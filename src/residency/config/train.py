"""``[train]``: how the model is trained."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from residency.config.section import Section
from residency.config.value_types import Layers


class TrainConfig(Section):
    """How the model is trained."""

    method: Literal["lora", "full"] = "lora"
    """`lora` trains adapters, `full` trains every weight."""
    rank: int = Field(16, ge=1, le=65536)
    """LoRA rank r."""
    alpha: float = Field(32.0, gt=0)
    """LoRA alpha; the update is scaled by alpha / r."""
    layers: Layers = Layers("top-10")
    """Layers that get adapters: `all`, or `top-N`: the frozen layers below are computed once and cached."""
    epochs: float = Field(4.0, gt=0, le=100_000)
    """Passes over the training rows."""
    learning_rate: float = Field(1e-3, gt=0)
    """Peak learning rate."""
    batch_size: int = Field(8, ge=1, le=1 << 20)
    """Examples an optimizer step."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Learning-rate schedule after warm-up."""
    warmup: float = Field(0.05, ge=0, le=1)
    """Share of the steps over which the learning rate rises from 0."""
    weight_decay: float = Field(0.0, ge=0)
    """AdamW weight decay."""
    clip: float = Field(1.0, gt=0)
    """Largest gradient norm."""
    objective: Literal["response", "full", "dpo"] = "response"
    """What is learned: the masked tokens, every token, or chosen over rejected answers (DPO)."""
    beta: float = Field(0.1, gt=0)
    """DPO's β: how far the model may move from the reference (the adapter switched off)."""
    targets: list[str] = []
    """Names of the linear layers that get adapters, e.g. `["q_proj", "v_proj"]`; empty means all."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout on the adapters' input (the base's own dropout is always off)."""
    rslora: bool = False
    """Scale the update by alpha / √r (rsLoRA) instead of alpha / r."""
    dora: bool = False
    """Also train the magnitude of each output (DoRA)."""
    lora_plus: float = Field(1.0, ge=1)
    """LoRA+: learning rate of B over that of A; 1 is plain LoRA, 16 is the paper's choice."""
    quantize: Literal["none", "nf4"] = "none"
    """`nf4` keeps the frozen base in 4 bits (QLoRA; needs the extra `gpu`; on a CPU it saves memory and costs time)."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Number format of the products; `auto` is bf16 on GPUs that have it and fp32 elsewhere."""
    replay: float = Field(0.1, ge=0, le=0.9)
    """Share of a training's rows that are general ones, where `data.replay` names some: the same rows for every arm, so that arms differ in nothing else."""
    packing: Literal["auto", "off"] = "auto"
    """`auto` runs examples unpadded where that is proved exact for the model; `off` always pads."""
    micro_tokens: int = Field(4096, ge=1)
    """Most tokens in one forward pass; a larger batch accumulates gradients over several."""
    sharding: Literal["none", "full"] = "none"
    """Under torchrun: `none` keeps a whole model on each process, `full` splits weights, gradients and optimizer over them (FSDP2)."""
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, about a third slower."""
    eval_every: int = Field(0, ge=0)
    """Steps between evaluations while training; 0 evaluates never, and the last step is kept."""
    early_stopping: int = Field(0, ge=0)
    """Stop after so many evaluations without a better score; 0 never stops early."""
    metric: str = ""
    """What chooses the best step, from answers written while training: `primary` (what models are compared by), `checks`, `faultless`, or a rule of the suite; empty: the loss. Without `eval_every` once an epoch."""
    metric_rows: Literal["dev", "train"] = "dev"
    """Rows that are answered for it: of the part of dev that finds issues, or rows held out of train, which then train nothing."""
    metric_items: int = Field(50, ge=1)
    """How many of them: fewer are faster, and noisier."""
    track: Literal["", "tensorboard", "wandb", "mlflow", "trackio"] = ""
    """Also send each step's metrics to this tracker (extra `track`); W&B leaves the machine."""

    def name_what_decides(self) -> dict[str, Any]:
        """The settings as plain values, by which a training is known.

        Those of the metric only where there is one: trainings from before it keep their names.
        """
        settings = self.model_dump(mode="json")
        del settings["replay"]  # the rows themselves say it
        if not self.metric:
            for name in ("metric", "metric_rows", "metric_items"):
                del settings[name]
        return settings
