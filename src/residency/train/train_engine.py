"""One model in training: a step takes rows and gives a loss. The loop around it is train_loop.py.

``residency pretrain`` and ``residency train`` both drive this engine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from residency.config.train import TrainConfig
from residency.errors import ConfigError, TrainingError
from residency.interfaces import TokenRow
from residency.model.base_chance import switch_chance_off
from residency.model.decoder import Decoder
from residency.model.find_layers import first_trained_layer
from residency.model.free_memory import keep_memory
from residency.model.lora import all_adapters, attach_adapters, measure_reach
from residency.model.router_balance import find_router_balance
from residency.model.thread_spinning import note_step
from residency.text.percent import write_percent
from residency.train.distributed import World
from residency.train.dpo import dpo_backward
from residency.train.flat_batch import flatten_rows, split_by_tokens, trained_tokens
from residency.train.forward_pass import ForwardPass
from residency.train.optimizer import make_adamw
from residency.train.schedule import learning_rate
from residency.train.sharding import Sharded, assign_tensor, copy_sharded_like, gather_tensors
from residency.train.step_cost import step_cost
from residency.train.step_result import StepResult, pick_precision
from residency.train.trunk_cache import TrunkCache


class Engine(ForwardPass):
    """Model, optimizer and objective.

    Args:
        model: a causal language model from ``model.load_model``; changed in place.
        settings: the ``[train]`` section. total_steps: length of the schedule.
        seed: draws the adapters and the dropout.
        trunk: folder for the frozen trunk's states (with ``layers = "top-N"``), or None.
        identity: of the base's weights; part of the trunk's keys.
        longest: most tokens of a row; the short ways are proved at this length too.
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
        longest: int = 0,
        world: World | None = None,
    ) -> None:
        self.model, self.settings = model, settings
        self.world = world or World()
        self.total_steps, self.steps_done = total_steps, 0
        self.loaded_as = next(model.parameters()).dtype
        switch_chance_off(model)
        model.eval()
        self.decoder = Decoder(model, flat=settings.packing == "auto", longest=longest)
        self.device = self.decoder.device
        if self.device.type == "cpu":
            keep_memory()
        self.dtype = pick_precision(settings.precision, self.device)
        torch.manual_seed(seed)
        if settings.method == "lora":
            attach_adapters(model, settings, seed=seed)
        else:
            model.requires_grad_(True)
        self.adapters = [layer for _, layer in all_adapters(model)]
        self._collect_trainable()
        self._balance_note = self._take_balance()
        # Routers below the adapters count in the balancing loss, so all layers must run.
        if trunk is not None and settings.method == "lora" and self.decoder.balance is None:
            first = self._first_layer()
            if first > 0:
                self.trunk = TrunkCache(trunk, self.decoder, first, identity)
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

    def _collect_trainable(self) -> None:
        """What trains, and its optimizer."""
        self.trainable: dict[str, nn.Parameter] = {
            name: p for name, p in self.model.named_parameters() if p.requires_grad
        }
        self.optimizer = make_adamw(self.trainable, self.settings)

    def shard_weights(self) -> None:
        """Split weights, gradients and optimizer over the processes; after ``prepare``.

        Raises:
            ConfigError: 4-bit weights, or an engine with another optimizer.
        """
        if self.settings.quantize != "none" or type(self) is not Engine:
            raise ConfigError(
                "4-bit weights and pretraining's optimizer cannot be sharded",
                where="train.sharding",
                next_step='set train.sharding = "none"',
            )
        for layer in self.adapters:
            layer.keep_apart()
        dtype = torch.float32 if self.device.type == "cpu" else None
        self.sharded = Sharded(self.model, self.decoder.stack.layers, self.device, dtype)
        self._collect_trainable()
        if self.loaded_as is not dtype:
            self.with_weights(self.decoder.prove_passes)  # the first proof was of narrower weights

    def _first_layer(self) -> int:
        if self.settings.method == "full":
            return 0
        return first_trained_layer(self.settings.layers, len(self.decoder.stack.layers))

    @property
    def notes(self) -> list[str]:
        """What the user should know about how this model is trained."""
        notes = [self._balance_note] if self._balance_note else []
        if self.adapters:
            notes.append(
                f"adapters reach {write_percent(measure_reach(self.model))} of the weights"
            )
        if not self.decoder.flat and self.settings.packing != "off":
            notes.append(f"examples are padded: {self.decoder.reason}")
        return notes

    def _take_balance(self) -> str:
        """Use the router's balancing loss where the architecture has one; what the user should know."""
        balance = find_router_balance(self.model)
        if balance is None:
            return ""
        if self.settings.objective == "dpo":
            return "the router's balancing loss is left out with preferences"
        self.decoder.use_balance(balance)
        if self.decoder.balance is None:
            return "the router's balancing loss is left out: the model does not tell its routing"
        return f"the router's balancing loss is added with factor {balance.coefficient:g}"

    def fill_trunk(
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
        with self.decoder.flat_attending():
            if self.settings.objective == "dpo":
                total = sum(row.weight for row in rows)
                sums = dpo_backward(self, mine, total, spare=rows[0])
            else:
                total = sum(row.weight * trained_tokens(row) for row in rows)
                step_tokens = sum(len(row.ids) for row in rows)
                sums = self._add_gradients(mine, total, rows[0], step_tokens)
        loss, trained, tokens, flat = self.world.add(*sums, self._flat_tokens)
        if self.sharded is None:
            self.world.add_gradients(self.trainable.values())
        norm = self._clip_gradients()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            self.optimizer.zero_grad(set_to_none=True)
            raise TrainingError(
                f"step {self.steps_done + 1}: loss {loss}, gradient norm {norm}",
                next_step="lower train.learning_rate, or look at the rows of this step; "
                "the last good checkpoint is kept",
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.mark_changed()
        self.steps_done += 1
        note_step()
        seconds = time.perf_counter() - began
        flops = self.cost.of(int(flat), int(trained))
        return StepResult(loss, int(trained), int(tokens), norm, rate, seconds, flops)

    def _clip_gradients(self) -> float:
        norm = nn.utils.clip_grad_norm_(self.trainable.values(), self.settings.clip)
        return float(gather_tensors({"norm": norm}, keep=True)["norm"])

    def _add_gradients(
        self,
        rows: Sequence[TokenRow],
        total: float,
        spare: TokenRow | None = None,
        step_tokens: int = 0,
    ) -> tuple[float, int, int]:
        """Gradients of Σ w·nll / ``total``; returns loss, trained tokens, tokens.

        ``step_tokens``: all tokens of the step, whoever runs them; 0 means those of ``rows``.
        """
        step_tokens = step_tokens or sum(len(row.ids) for row in rows)
        loss, trained, tokens = 0.0, 0, 0
        limit, length_class = self.settings.micro_tokens, self.decoder.length_class
        micro = split_by_tokens(rows, limit, length_class)
        for micro_batch, factor in self.pad_micro_batches(micro, spare):
            batch = flatten_rows(micro_batch)
            share = factor * batch.tokens / step_tokens
            value, _ = self.weigh_losses(
                micro_batch, batch, batch.weights * (factor / total), share
            )
            value.backward()  # type: ignore[no-untyped-call]
            loss += float(value.detach())
            trained += len(batch.labels) if factor else 0
            tokens += batch.tokens if factor else 0
        return loss, trained, tokens

    def add_row_gradients(self, row: TokenRow, total: float) -> None:
        """Gradients of one row's summed loss / ``total``, added to those that are there."""
        self._add_gradients([row], total, row)

    # --- state -------------------------------------------------------------------------------

    def trained_weights(self) -> dict[str, Tensor]:
        """What trains, by name (references, not copies)."""
        return {name: p.detach() for name, p in self.trainable.items()}

    def load_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of ``weights``."""
        with torch.no_grad():
            for name, parameter in self.trainable.items():
                assign_tensor(parameter, tensors[name])
        self.mark_changed()

    def shard_like_weights(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Copies that lie over the processes as the weights do."""
        return {
            name: copy_sharded_like(self.trainable[name], value) for name, value in tensors.items()
        }

    def gather_weights(self) -> dict[str, Tensor] | None:
        """What trains, gathered on rank 0 (empty elsewhere); None when nothing is sharded."""
        if self.sharded is None:
            return None
        return gather_tensors(self.trained_weights(), keep=self.world.first)

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
            self.optimizer.state[parameter][key] = copy_sharded_like(parameter, value)

    def blank_optimizer(self) -> None:
        """AdamW's state as before the first step, to be filled in place."""
        for parameter in self.trainable.values():
            self.optimizer.state[parameter] = {
                "step": torch.zeros(()),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
