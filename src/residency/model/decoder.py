"""Run a causal language model's decoder on flat tokens, whole or split at a layer.

Works on any architecture that uses transformers' attention interface. Whether flat tokens
give this model's own outputs is tested on it, once, before training; where they do not,
examples are padded instead, inside this file, and nothing else changes.

Shapes: T flat tokens, d hidden size.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from residency.model import attention
from residency.model.attention import Layout
from residency.model.find_layers import Stack, layer_stack
from residency.model.head import token_nll, weighted_nll
from residency.model.last_layer import LastLayer, Watch
from residency.model.size_rounding import filled, filled_rows

PROOF_TOLERANCE = 1e-4
"""Largest difference of hidden states, relative to their largest value, that counts as equal."""

_MISFITS = (NotImplementedError, TypeError, ValueError, AttributeError, RuntimeError, IndexError)
"""What a model raises that does not run this way."""


def _relative(got: Tensor, want: Tensor) -> float:
    return float((got - want).abs().max() / want.abs().max().clamp(min=1e-6))


class _ReachedError(Exception):
    """The hidden states that were asked for are there; the layers above need not run."""

    def __init__(self, hidden: Tensor) -> None:
        super().__init__()
        self.hidden = hidden


class _Skip(nn.Module):
    """Stands where a frozen layer stood, and hands its input on."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.like = (layer,)  # in a tuple: not a submodule

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["like"][0], name)

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Its input, unchanged."""
        return hidden_states


class Decoder:
    """A causal language model seen as: tokens → hidden states → loss.

    Attributes:
        model: the Hugging Face model. flat: True when examples run unpadded.
        reason: why not, when ``flat`` is False.
        last: how to run the last layer at chosen positions only; None where that is not exact.
    """

    def __init__(self, model: Any, *, flat: bool = True) -> None:
        self.model = model
        self.body: nn.Module = getattr(model, model.base_model_prefix)
        self.stack: Stack = layer_stack(model)
        self.flat, self.reason = False, "padding was asked for"
        self.last: LastLayer | None = None
        self._wanted = flat
        attention.register()
        self._use_native()
        self.prove()

    def prove(self) -> None:
        """Find out, on the model itself, which of the short ways are exact for it."""
        self.last = None
        if self._wanted:
            self.flat, self.reason = self._prove()
        if self.flat:
            self.last = self._prove_last()
        self.head_matches = self._head_matches()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device  # type: ignore[no-any-return]

    # --- forward ---------------------------------------------------------------------------

    def hidden(
        self, ids: Tensor, positions: Tensor, layout: Layout, at: Tensor | None = None
    ) -> Tensor:
        """[T, d] states that the head reads. ids, positions: [T], positions restart per example.

        With ``at``, [S] flat indices, only the states there: [S, d].
        """
        if not self.flat:
            padded = self._padded(ids, layout)
            return padded if at is None else padded[at]
        size = len(ids) if at is None else len(at)
        ids, positions, layout = filled(ids, positions, layout)
        at = None if at is None else filled_rows(at)
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.attending())
            if at is not None and self.last is not None:
                stack.enter_context(self.last.at(self.stack.layers[-1], at))
            out = self.body(
                input_ids=ids[None],
                attention_mask=torch.ones_like(ids)[None],
                position_ids=positions[None],
                layout=layout,
                use_cache=False,
            )
        states: Tensor = out.last_hidden_state[0]
        return (states if at is None or self.last is not None else states[at])[:size]

    @torch.no_grad()
    def below(self, ids: Tensor, positions: Tensor, layout: Layout, layer: int) -> Tensor:
        """[T, d] states that enter ``layer`` (0-based)."""

        def stop(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            raise _ReachedError(args[0] if args else kwargs["hidden_states"])

        handle = self.stack.layers[layer].register_forward_pre_hook(stop, with_kwargs=True)
        try:
            self.hidden(ids, positions, layout)
        except _ReachedError as reached:
            return reached.hidden[0][: len(ids)]
        finally:
            handle.remove()
        raise AssertionError("the layer did not run")

    def above(
        self,
        states: Tensor,
        ids: Tensor,
        positions: Tensor,
        layout: Layout,
        layer: int,
        at: Tensor | None = None,
    ) -> Tensor:
        """As ``hidden``, from the states [T, d] that enter ``layer``."""
        states = filled_rows(states) if self.flat else states

        def enter(
            module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            if args:
                return (states[None], *args[1:]), kwargs
            return args, {**kwargs, "hidden_states": states[None]}

        layers = list(self.stack.layers)
        handle = layers[layer].register_forward_pre_hook(enter, with_kwargs=True)
        skipping = nn.ModuleList([*map(_Skip, layers[:layer]), *layers[layer:]])
        original = self.stack.layers
        setattr(self.stack.parent, self.stack.attribute, skipping)
        try:
            return self.hidden(ids, positions, layout, at)
        finally:
            setattr(self.stack.parent, self.stack.attribute, original)
            handle.remove()

    def nll(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """[S] −log p(label) at states [S, d]; the head must be frozen to differentiate it."""
        weight, bias = self._head()
        if self.head_matches:
            return token_nll(hidden, weight, bias, labels)
        logits = self._own_logits(hidden).float()
        return nn.functional.cross_entropy(logits, labels, reduction="none")

    def loss(self, hidden: Tensor, labels: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Σ wᵢ·nllᵢ and the [S] nll, at states [S, d]."""
        if self.head_matches:
            return weighted_nll(hidden, *self._head(), labels, weights)
        nll = self.nll(hidden, labels)
        return (nll * weights).sum(), nll.detach()

    # --- the model's own way -----------------------------------------------------------------

    def _head(self) -> tuple[Tensor, Tensor | None]:
        head = self.model.get_output_embeddings()
        return head.weight, getattr(head, "bias", None)

    def _own_logits(self, hidden: Tensor) -> Tensor:
        """[S, V] logits by the model's own code after its body (soft caps, scales)."""

        def replace(module: nn.Module, args: Any, output: Any) -> Any:
            output.last_hidden_state = hidden[None]
            return output

        handle = self.body.register_forward_hook(replace)
        try:
            one = torch.zeros(1, 1, dtype=torch.long, device=hidden.device)
            out = self.model(input_ids=one, attention_mask=torch.ones_like(one), use_cache=False)
            return out.logits[0]  # type: ignore[no-any-return]
        finally:
            handle.remove()

    def _padded(self, ids: Tensor, layout: Layout) -> Tensor:
        full = ids if layout.expand is None else ids[layout.expand]
        rows = torch.split(full, list(layout.lengths))
        batch = nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
        lengths = torch.tensor(layout.lengths, device=ids.device)
        mask = torch.arange(batch.shape[1], device=ids.device)[None] < lengths[:, None]
        out = self.body(input_ids=batch, attention_mask=mask.long(), use_cache=False)
        states: Tensor = out.last_hidden_state[mask]
        return states if layout.keep is None else states[layout.keep]

    def _use_native(self) -> None:
        if self.model.config._attn_implementation == attention.NAME:
            self.model.set_attn_implementation("sdpa" if self.model._supports_sdpa else "eager")

    @contextlib.contextmanager
    def attending(self) -> Iterator[None]:
        """The block runs on flat attention; with checkpointed activations, the backward too."""
        native = self.model.config._attn_implementation
        if not self.flat or native == attention.NAME:
            yield
            return
        self.model.set_attn_implementation(attention.NAME)
        try:
            yield
        finally:
            self.model.set_attn_implementation(native)

    def _alone(self, ids: Tensor) -> Tensor:
        mask = torch.ones_like(ids)[None]
        out = self.body(input_ids=ids[None], attention_mask=mask, use_cache=False)
        return out.last_hidden_state[0]  # type: ignore[no-any-return]

    # --- proofs ------------------------------------------------------------------------------

    @torch.no_grad()
    def _prove(self) -> tuple[bool, str]:
        """Whether flat tokens, shared beginnings included, give each example's own states."""
        was_training = self.model.training
        self.model.eval()
        try:
            rows, ids, positions, layout = self._probe()
            self.flat = True
            got = self.hidden(ids, positions, layout).float()
            alone = torch.cat([self._alone(row).float() for row in rows])
            error = _relative(got, alone[layout.keep])
        except _MISFITS as problem:
            return False, f"this architecture does not run on flat tokens ({problem})"
        finally:
            self.model.train(was_training)
        exact = next(self.model.parameters()).dtype is torch.float32
        if error > (PROOF_TOLERANCE if exact else 5e-2):
            return False, f"flat tokens change this architecture's outputs (by {error:.1e})"
        return True, ""

    def _probe(self) -> tuple[list[Tensor], Tensor, Tensor, Layout]:
        """Three random examples, of which two begin alike: alone, and as one flat batch."""
        generator = torch.Generator().manual_seed(0)
        vocabulary = self.model.config.get_text_config().vocab_size
        rows = [torch.randint(0, vocabulary, (n,), generator=generator) for n in (11, 3, 19)]
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
        _, ids, positions, layout = self._probe()
        at = torch.tensor([3, 10, 12, 10, 27], device=self.device)
        try:
            with watch.watching():
                want = self.hidden(ids, positions, layout)[at]
            self.last = found = watch.found()
            got = self.hidden(ids, positions, layout, at)
            exact = next(self.model.parameters()).dtype is torch.float32
            close = _relative(got.float(), want.float()) <= (PROOF_TOLERANCE if exact else 5e-2)
            return found if close else None
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
        weight, bias = self._head()
        generator = torch.Generator().manual_seed(0)
        hidden = torch.randn(3, weight.shape[1], generator=generator)
        hidden = hidden.to(self.device, weight.dtype)
        # Large enough that a soft cap bends them.
        hidden *= 100 / nn.functional.linear(hidden, weight).abs().max().clamp(min=1e-6)
        want = self._own_logits(hidden).float()
        got = nn.functional.linear(hidden, weight, bias).float()
        exact = weight.dtype is torch.float32
        return float((got - want).abs().max()) < (1e-3 if exact else 1.0)
