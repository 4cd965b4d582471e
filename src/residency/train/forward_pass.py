"""A model's forward in training: micro-batches in, losses out, whatever lies in between.

In between may lie the frozen layers' cache, weights that are split over processes, products in
bf16. ``TrainEngine`` adds the optimizer; DPO's loss needs nothing but this.

Shapes: S trained positions, d hidden size.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from residency.config.train import TrainConfig
from residency.interfaces import TokenRow
from residency.model.decoder import Decoder
from residency.model.kernels import narrow_products
from residency.model.lora import Adapter
from residency.model.product_choice import bf16_available
from residency.train.distributed import World
from residency.train.flat_batch import FlatBatch, flatten_rows, split_by_tokens
from residency.train.sharding import Sharded
from residency.train.trunk_cache import TrunkCache


class ForwardPass:
    """Every way through the model that training takes.

    Attributes:
        model, decoder, settings, world, device: of the run. dtype: of the products.
        trunk: the frozen layers' states, or None. sharded: the model split over processes, or None.
        adapters: the adapted layers.
    """

    model: Any
    settings: TrainConfig
    world: World
    decoder: Decoder
    device: torch.device
    dtype: torch.dtype
    trunk: TrunkCache | None = None
    sharded: Sharded | None = None
    adapters: Sequence[Adapter] = ()
    _flat_tokens: int = 0

    def with_weights(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call a function that runs the model, with sharded weights gathered while it runs.

        Every forward goes through here.
        """
        return call(*args) if self.sharded is None else self.sharded(call, *args)

    def pad_micro_batches(
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

    def weigh_losses(
        self, rows: Sequence[TokenRow], batch: FlatBatch, weights: Tensor, share: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Σ wᵢ·nllᵢ, and the [S] nll, of a flat batch of these rows.

        With a router's balancing loss, that times ``share`` (of the step's tokens) is in the sum.
        """
        out: tuple[Tensor, Tensor] = self.with_weights(
            self._weigh_losses, rows, batch, weights, share
        )
        return out

    def _weigh_losses(
        self, rows: Sequence[TokenRow], batch: FlatBatch, weights: Tensor, share: float
    ) -> tuple[Tensor, Tensor]:
        batch = batch.to(self.device)
        with self.cast_products():
            hidden = self.hidden_states(rows, batch)
            total, nll = self.decoder.weighted_loss(hidden, batch.labels, weights.to(self.device))
            if self.decoder.balance is not None:
                total = total + share * self.decoder.balance_loss()
            return total, nll

    def hidden_states(self, rows: Sequence[TokenRow], batch: FlatBatch) -> Tensor:
        """[S, d] states that predict, the frozen trunk's from the cache if there is one."""
        self._flat_tokens += len(batch.ids)
        where = (batch.ids, batch.positions, batch.layout)
        if self.trunk is None:
            return self.decoder.hidden_states(*where, batch.predict)
        states = self.trunk.states(rows, batch.shared)
        return self.decoder.states_above(states, *where, self.trunk.layer, batch.predict)

    def cast_products(self) -> AbstractContextManager[Any]:
        """The context in which products run in the chosen precision."""
        if self.dtype is torch.float32:
            return contextlib.nullcontext()
        if self.device.type == "cpu" and bf16_available():
            return narrow_products()
        return torch.autocast(self.device.type, self.dtype)

    @torch.no_grad()
    def mean_loss(self, rows: Sequence[TokenRow]) -> float:
        """Mean negative log-likelihood of the trained tokens, without training on them."""
        total = weight = 0.0
        with self.evaluation_mode():
            for micro_batch in split_by_tokens(
                rows, self.settings.micro_tokens, self.decoder.length_class
            ):
                batch = flatten_rows(micro_batch).to(self.device)
                total += float(self.with_weights(self._sum_losses, batch))
                weight += float(batch.weights.sum())
        return total / weight

    def _sum_losses(self, batch: FlatBatch) -> Tensor:
        with self.cast_products():
            states = self.decoder.hidden_states(
                batch.ids, batch.positions, batch.layout, batch.predict
            )
            return self.decoder.weighted_loss(states, batch.labels, batch.weights)[0]

    @contextlib.contextmanager
    def evaluation_mode(self) -> Iterator[Any]:
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
        """The base's outputs: DPO's reference."""
        for layer in self.adapters:
            layer.enabled = False
        try:
            yield
        finally:
            for layer in self.adapters:
                layer.enabled = True

    def mark_changed(self) -> None:
        """Say that the adapters' weights changed."""
        for layer in self.adapters:
            layer.mark_changed()
