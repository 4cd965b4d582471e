"""One model in training: a step takes rows and gives a loss. The loop around it is loop.py.

``residency pretrain`` and ``residency train`` both drive this engine.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from residency.config.train import TrainConfig
from residency.errors import ConfigError, TrainingError
from residency.interfaces import TokenRow
from residency.model.decoder import Decoder
from residency.model.find_layers import first_trained_layer
from residency.model.lora import attach, lora_modules
from residency.train.distributed import World
from residency.train.dpo import dpo_backward
from residency.train.flat_batch import FlatBatch, flatten, split_by_tokens, trained_tokens
from residency.train.schedule import learning_rate
from residency.train.sharding import Sharded, assign, like, whole
from residency.train.step_cost import step_cost
from residency.train.trunk_cache import TrunkCache


@dataclass(frozen=True)
class StepResult:
    """What one optimizer step did.

    Attributes:
        loss: mean negative log-likelihood of the trained tokens (nats), weighted by row;
            with DPO the mean of its loss over pairs.
        trained: trained tokens. tokens: all tokens of the rows, as if nothing were shared.
        grad_norm: before clipping. learning_rate: of this step. seconds: wall time.
        flops: model FLOPs done (train.metrics).
    """

    loss: float
    trained: int
    tokens: int
    grad_norm: float
    learning_rate: float
    seconds: float
    flops: float = 0.0


def pick_precision(precision: str, device: torch.device) -> torch.dtype:
    """``auto``: bf16 on CUDA devices with native bf16, fp32 elsewhere (the same on every run)."""
    if precision == "bf16":
        return torch.bfloat16
    if precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float32


class Engine:
    """Model, optimizer and objective.

    Args:
        model: a causal language model from ``model.load_model``; changed in place.
        settings: the ``[train]`` section. total_steps: length of the schedule.
        seed: draws the adapters and the dropout.
        trunk: folder for the frozen trunk's states (with ``layers = "top-N"``), or None.
        identity: of the base's weights; part of the trunk's keys.
        world: the processes that train together (all must make the same calls).
    """

    def __init__(
        self,
        model: Any,
        settings: TrainConfig,
        *,
        total_steps: int,
        seed: int = 0,
        trunk: Path | None = None,
        identity: str = "",
        world: World | None = None,
    ) -> None:
        self.model, self.settings = model, settings
        self.world = world or World()
        self.total_steps, self.steps_done = total_steps, 0
        self.loaded_as = next(model.parameters()).dtype
        _no_dropout(model)
        model.eval()
        self.decoder = Decoder(model, flat=settings.packing == "auto")
        self.device = self.decoder.device
        self.dtype = pick_precision(settings.precision, self.device)
        torch.manual_seed(seed)
        if settings.method == "lora":
            attach(model, settings, seed=seed)
        else:
            model.requires_grad_(True)
        self._adapters = [layer for _, layer in lora_modules(model)]
        self.sharded: Sharded | None = None
        self._collect()
        self.trunk: TrunkCache | None = None
        if trunk is not None and settings.method == "lora":
            first = self._first_layer()
            if first > 0:
                self.trunk = TrunkCache(trunk, self.decoder, first, identity)
        self._flat_tokens = 0
        self.cost = step_cost(
            model,
            self.decoder.stack,
            first=self._first_layer(),
            full=settings.method == "full",
            cached=self.trunk is not None,
        )
        if settings.activation_checkpointing:
            old = "gradient_checkpointing_enable"  # its name before transformers 5.22
            enable = getattr(model, "activation_checkpointing_enable", None) or getattr(model, old)
            enable({"use_reentrant": False})
            self.decoder.last = None  # its hooks are gone when a layer runs again in the backward
        model.train()

    def _collect(self) -> None:
        """What trains, and its optimizer."""
        self.trainable: dict[str, nn.Parameter] = {
            name: p for name, p in self.model.named_parameters() if p.requires_grad
        }
        self.optimizer = torch.optim.AdamW(
            _groups(self.trainable, self.settings), lr=self.settings.learning_rate, fused=True
        )

    def shard(self) -> None:
        """Split weights, gradients and optimizer over the processes; after ``prepare``.

        Raises:
            ConfigError: 4-bit weights, or an engine with an optimizer of its own.
        """
        if self.settings.quantize != "none" or type(self) is not Engine:
            raise ConfigError(
                "4-bit weights and pretraining's optimizer cannot be sharded",
                where="train.sharding",
                next_step='set train.sharding = "none"',
            )
        for layer in self._adapters:
            layer.keep_apart()
        dtype = torch.float32 if self.device.type == "cpu" else None
        self.sharded = Sharded(self.model, self.decoder.stack.layers, self.device, dtype)
        self._collect()
        if self.loaded_as is not dtype:
            self.within(self.decoder.prove)  # the first proof was of narrower weights

    def within(self, call: Callable[..., Any], *args: Any) -> Any:
        """``call(*args)``, with the weights at hand: the way to every forward."""
        return call(*args) if self.sharded is None else self.sharded(call, *args)

    def _first_layer(self) -> int:
        if self.settings.method == "full":
            return 0
        return first_trained_layer(self.settings.layers, len(self.decoder.stack.layers))

    @property
    def notes(self) -> list[str]:
        """What the user should know about how this model is trained."""
        if self.decoder.flat or self.settings.packing == "off":
            return []
        return [f"examples are padded: {self.decoder.reason}"]

    def prepare(
        self, rows: Sequence[TokenRow], progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Compute the frozen trunk of every row that has none yet."""
        if self.trunk is not None:
            ids = [row.ids for row in rows]
            ids += [row.rejected_ids for row in rows if row.rejected_ids]
            if self.world.first:
                self.trunk.fill(ids, progress)
            self.world.wait()
            if not self.world.first:
                self.trunk.read()

    def step(self, rows: Sequence[TokenRow]) -> StepResult:
        """One optimizer step on these rows, in micro-batches of ``micro_tokens``.

        The loss is the weighted sum over trained tokens divided by the weighted number of
        trained tokens of the whole step, however it is split.

        Raises:
            TrainingError: the loss or the gradient is not finite; nothing was changed.
        """
        began = time.perf_counter()
        rate = learning_rate(self.settings, self.steps_done, self.total_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        self._flat_tokens = 0
        mine = self.world.share(rows)
        with self.decoder.attending():
            if self.settings.objective == "dpo":
                total = sum(row.weight for row in rows)
                sums = dpo_backward(self, mine, total, spare=rows[0])
            else:
                total = sum(row.weight * trained_tokens(row) for row in rows)
                sums = self._backward(mine, total, spare=rows[0])
        loss, trained, tokens, flat = self.world.add(*sums, self._flat_tokens)
        if self.sharded is None:
            self.world.add_gradients(self.trainable.values())
        norm = self._clip()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            self.optimizer.zero_grad(set_to_none=True)
            raise TrainingError(
                f"step {self.steps_done + 1}: loss {loss}, gradient norm {norm}",
                next_step="lower train.learning_rate, or look at the rows of this step; "
                "the last good checkpoint is kept",
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.stale()
        self.steps_done += 1
        seconds = time.perf_counter() - began
        flops = self.cost.of(int(flat), int(trained))
        return StepResult(loss, int(trained), int(tokens), norm, rate, seconds, flops)

    def _clip(self) -> float:
        norm = nn.utils.clip_grad_norm_(self.trainable.values(), self.settings.clip)
        return float(whole({"norm": norm}, keep=True)["norm"])

    def _backward(
        self, rows: Sequence[TokenRow], total: float, spare: TokenRow | None = None
    ) -> tuple[float, int, int]:
        """Gradients of Σ w·nll / ``total``; returns loss, trained tokens, tokens."""
        loss, trained, tokens = 0.0, 0, 0
        for part, factor in self.parts(split_by_tokens(rows, self.settings.micro_tokens), spare):
            batch = flatten(part)
            value, _ = self.forward(part, batch, batch.weights * (factor / total))
            value.backward()  # type: ignore[no-untyped-call]
            loss += float(value.detach())
            trained += len(batch.labels) if factor else 0
            tokens += batch.tokens if factor else 0
        return loss, trained, tokens

    def parts(
        self, micro: Iterable[list[TokenRow]], spare: TokenRow | None
    ) -> list[tuple[list[TokenRow], float]]:
        """Micro-batches, each with the factor of its loss.

        Sharded weights are gathered by all processes together, so each must run as many
        micro-batches: who has fewer runs ``spare`` with factor 0.
        """
        parts = [(rows, 1.0) for rows in micro]
        if self.sharded is not None and spare is not None:
            parts += [([spare], 0.0)] * (self.world.most(len(parts)) - len(parts))
        return parts

    def forward(
        self, rows: Sequence[TokenRow], batch: FlatBatch, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Σ wᵢ·nllᵢ and the [S] nll of a flat batch of these rows."""
        out: tuple[Tensor, Tensor] = self.within(self._forward, rows, batch, weights)
        return out

    def _forward(
        self, rows: Sequence[TokenRow], batch: FlatBatch, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        batch = batch.to(self.device)
        with self.autocast():
            hidden = self.hidden(rows, batch)
            return self.decoder.loss(hidden, batch.labels, weights.to(self.device))

    def hidden(self, rows: Sequence[TokenRow], batch: FlatBatch) -> Tensor:
        """[S, d] states that predict, the frozen trunk's from the cache if there is one."""
        self._flat_tokens += len(batch.ids)
        where = (batch.ids, batch.positions, batch.layout)
        if self.trunk is None:
            return self.decoder.hidden(*where, batch.predict)
        states = self.trunk.states(rows, batch.shared)
        return self.decoder.above(states, *where, self.trunk.layer, batch.predict)

    def autocast(self) -> AbstractContextManager[Any]:
        """The context in which products run in the chosen precision."""
        if self.dtype is torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    @torch.no_grad()
    def loss(self, rows: Sequence[TokenRow]) -> float:
        """Mean negative log-likelihood of the trained tokens, without training on them."""
        total = weight = 0.0
        with self.evaluating():
            for part in split_by_tokens(rows, self.settings.micro_tokens):
                batch = flatten(part).to(self.device)
                total += float(self.within(self._loss, batch))
                weight += float(batch.weights.sum())
        return total / weight

    def _loss(self, batch: FlatBatch) -> Tensor:
        with self.autocast():
            states = self.decoder.hidden(batch.ids, batch.positions, batch.layout, batch.predict)
            return self.decoder.loss(states, batch.labels, batch.weights)[0]

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[Any]:
        """The model in eval mode, random state untouched by whatever runs inside."""
        devices = [self.device] if self.device.type == "cuda" else []
        self.model.eval()
        try:
            with torch.random.fork_rng(devices=devices):
                yield self.model
        finally:
            self.model.train()

    @contextlib.contextmanager
    def adapter_off(self) -> Iterator[None]:
        """The base's own outputs: DPO's reference."""
        for layer in self._adapters:
            layer.enabled = False
        try:
            yield
        finally:
            for layer in self._adapters:
                layer.enabled = True

    # --- state -------------------------------------------------------------------------------

    def weights(self) -> dict[str, Tensor]:
        """What trains, by name (references, not copies)."""
        return {name: p.detach() for name, p in self.trainable.items()}

    def load_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of ``weights``."""
        with torch.no_grad():
            for name, parameter in self.trainable.items():
                assign(parameter, tensors[name])
        self.stale()

    def like_weights(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Copies that lie over the processes as the weights do."""
        return {name: like(self.trainable[name], value) for name, value in tensors.items()}

    def stale(self) -> None:
        """Say that the adapters' weights changed."""
        for layer in self._adapters:
            layer.stale()

    def whole_weights(self) -> dict[str, Tensor] | None:
        """What trains, gathered on rank 0 (empty elsewhere); None when nothing is sharded."""
        if self.sharded is None:
            return None
        return whole(self.weights(), keep=self.world.first)

    def optimizer_state(self) -> dict[str, Tensor]:
        """AdamW's moments and step counts, by parameter name."""
        out = {}
        for name, parameter in self.trainable.items():
            for key, value in self.optimizer.state[parameter].items():
                out[f"{name}::{key}"] = value
        return out

    def load_optimizer(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of ``optimizer_state``."""
        for full, value in tensors.items():
            name, _, key = full.rpartition("::")
            parameter = self.trainable[name]
            self.optimizer.state[parameter][key] = like(parameter, value)

    def blank_optimizer(self) -> None:
        """AdamW's state as before the first step, to be filled in place."""
        for parameter in self.trainable.values():
            self.optimizer.state[parameter] = {
                "step": torch.zeros(()),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }


def _no_dropout(model: nn.Module) -> None:
    """Switch the base's own dropout off: cached states and packed examples must be exact."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name in ("attention_dropout", "dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)


def _groups(trainable: Mapping[str, nn.Parameter], settings: TrainConfig) -> list[dict[str, Any]]:
    """Parameter groups: no decay on vectors; with LoRA+ (arXiv 2402.12354) a higher rate for B."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in trainable.items():
        decay = settings.weight_decay if parameter.ndim > 1 else 0.0
        factor = settings.lora_plus if name.endswith("lora_B") else 1.0
        groups.setdefault((decay, factor), []).append(parameter)
    return [
        {"params": params, "weight_decay": decay, "factor": factor}
        for (decay, factor), params in groups.items()
    ]
