"""A causal language model's decoder, each of its short ways proved on the model before it is used.

Works on any architecture that uses transformers' attention interface. Whether flat tokens
give this model's outputs is tested on it, once, before training; where they do not,
examples are padded instead, and nothing else changes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from residency.model.attention import Layout
from residency.model.decoder_passes import DecoderPasses
from residency.model.last_layer import LastLayer, Watch
from residency.model.router_balance import RouterBalance

PROBE_LENGTH = 19
"""Longest of the short examples that every model is proved on."""
PROOF_TOLERANCE = 1e-4
"""Largest difference of hidden states, relative to their largest value, that counts as equal."""

_MISFITS = (NotImplementedError, TypeError, ValueError, AttributeError, RuntimeError, IndexError)
"""What a model raises that does not run this way."""


def _relative_error(short_way: Tensor, want: Tensor) -> float:
    return float((short_way - want).abs().max() / want.abs().max().clamp(min=1e-6))


class Decoder(DecoderPasses):
    """``DecoderPasses`` that knows, from tests on the model itself, which of them are exact.

    Attributes:
        reason: why examples are padded, when ``flat`` is False.
    """

    def __init__(self, model: Any, *, flat: bool = True, longest: int = 0) -> None:
        super().__init__(model, flat=flat)
        self.longest = longest
        self.prove_passes()

    def use_balance(self, balance: RouterBalance | None) -> None:
        """Take the router's balancing loss into account; the last layer then runs whole.

        A model whose body does not tell its routers' logits is left without.
        """
        self.balance = balance
        if balance is None:
            return
        _, ids, positions, layout = self._probe_batch()
        try:
            with torch.no_grad():
                self.hidden_states(ids, positions, layout)
                self.balance_loss()
            self.last = None
        except _MISFITS:
            self.balance = None

    def prove_passes(self) -> None:
        """Find out, on the model itself, which of the short ways are exact for it."""
        self.last = None
        if self._wanted:
            self.flat, self.reason = self._prove_flat()
        if self.flat and self.balance is None:
            self.last = self._prove_last()
        self.head_matches = self._head_matches()

    @torch.no_grad()
    def _prove_flat(self) -> tuple[bool, str]:
        """Whether flat tokens, shared beginnings included, give each example's states."""
        was_training = self.model.training
        self.model.eval()
        try:
            rows, ids, positions, layout = self._probe_batch()
            self.flat = True
            short_way = self.hidden_states(ids, positions, layout).float()
            alone = torch.cat([self._run_alone(row).float() for row in rows])
            error = _relative_error(short_way, alone[layout.keep])
            if self.longest > PROBE_LENGTH:
                error = max(error, self._prove_longest())
        except _MISFITS as problem:
            return False, f"this architecture does not run on flat tokens ({problem})"
        finally:
            self.model.train(was_training)
        exact = next(self.model.parameters()).dtype is torch.float32
        if error > (PROOF_TOLERANCE if exact else 5e-2):
            return False, f"flat tokens change this architecture's outputs (by {error:.1e})"
        return True, ""

    def _prove_longest(self) -> float:
        """The error of flat tokens at the lengths that will be used, beside a shorter example."""
        shorter = self.longest - 2
        if self.length_class(7) == self.length_class(self.longest):
            shorter = 7
        elif self.length_class(shorter) != self.length_class(self.longest):
            return 0.0  # it always runs alone
        generator = torch.Generator().manual_seed(1)
        vocabulary = self.model.config.get_text_config().vocab_size
        rows = [
            torch.randint(0, vocabulary, (n,), generator=generator).to(self.device)
            for n in (shorter, self.longest)
        ]
        positions = torch.cat([torch.arange(len(row)) for row in rows]).to(self.device)
        layout = Layout(tuple(len(row) for row in rows))
        short_way = self.hidden_states(torch.cat(rows), positions, layout).float()
        alone = torch.cat([self._run_alone(row).float() for row in rows])
        return _relative_error(short_way, alone)

    def _probe_batch(self) -> tuple[list[Tensor], Tensor, Tensor, Layout]:
        """Three random examples, of which two begin alike: alone, and as one flat batch."""
        generator = torch.Generator().manual_seed(0)
        vocabulary = self.model.config.get_text_config().vocab_size
        rows = [
            torch.randint(0, vocabulary, (n,), generator=generator) for n in (11, 3, PROBE_LENGTH)
        ]
        rows[2][:5] = rows[0][:5]
        expand = torch.cat([torch.arange(14), torch.arange(5), torch.arange(14, 28)])
        keep = torch.cat([torch.arange(14), torch.arange(19, 33)])
        layout = Layout((11, 3, 19), (0, 0, 5), expand.to(self.device), keep.to(self.device))
        ids = torch.cat([rows[0], rows[1], rows[2][5:]]).to(self.device)
        positions = torch.cat([torch.arange(11), torch.arange(3), torch.arange(5, 19)])
        return [row.to(self.device) for row in rows], ids, positions.to(self.device), layout

    @torch.no_grad()
    def _prove_last(self) -> LastLayer | None:
        """The short way through the last layer, where it gives the whole layer's states."""
        was_training = self.model.training
        self.model.eval()
        watch = Watch(self.stack.layers[-1])
        _, ids, positions, layout = self._probe_batch()
        at = torch.tensor([3, 10, 12, 10, 27], device=self.device)
        try:
            with watch.watching():
                want = self.hidden_states(ids, positions, layout)[at]
            self.last = last_layer = watch.read_layer()
            short_way = self.hidden_states(ids, positions, layout, at)
            exact = next(self.model.parameters()).dtype is torch.float32
            close = _relative_error(short_way.float(), want.float()) <= (
                PROOF_TOLERANCE if exact else 5e-2
            )
            return last_layer if close else None
        except _MISFITS:
            return None
        finally:
            self.last = None
            self.model.train(was_training)

    @torch.no_grad()
    def _head_matches(self) -> bool:
        """Whether the logits are head·hidden and nothing else."""
        head = self.model.get_output_embeddings()
        if head is None or not isinstance(head, nn.Linear):
            return False
        weight, bias = self._head_weights()
        generator = torch.Generator().manual_seed(0)
        one = torch.zeros(1, dtype=torch.long, device=self.device)
        size = self._run_alone(one).shape[-1]
        if size != weight.shape[1]:  # a head of several layers (RemBERT)
            return False
        hidden = torch.randn(3, size, generator=generator)
        hidden = hidden.to(self.device, weight.dtype)
        # Large enough that a soft cap bends them.
        hidden *= 100 / nn.functional.linear(hidden, weight).abs().max().clamp(min=1e-6)
        want = self._own_logits(hidden).float()
        short_way = nn.functional.linear(hidden, weight, bias).float()
        exact = weight.dtype is torch.float32
        return float((short_way - want).abs().max()) < (1e-3 if exact else 1.0)
