"""Run a causal language model's decoder on flat tokens, whole or split at a layer.

Works on any architecture that uses transformers' attention interface. Whether flat tokens
give this model's outputs is tested on it, once, before training; where they do not,
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
from residency.model.last_layer import LastLayer
from residency.model.length_classes import LengthClasses, forget_longest
from residency.model.router_balance import RouterBalance
from residency.model.size_rounding import fill_batch, fill_rows


class _ReachedError(Exception):
    """The hidden states that were wanted are there; the layers above need not run."""

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


def _find_body(model: Any, stack: Stack) -> nn.Module:
    """What turns tokens into the states that the head reads.

    A text model cut out of a larger one (Llama 4) is named as in the larger one, and then finds
    itself: its part that holds the layers is the body.
    """
    named = getattr(model, model.base_model_prefix, None) or model.get_decoder()
    part: Any = model.get_submodule(stack.path.split(".")[0]) if named is model else named
    return part  # type: ignore[no-any-return]


class DecoderPasses:
    """A causal language model seen as: tokens → hidden states → loss.

    Attributes:
        model: the Hugging Face model. flat: True when examples run unpadded.
        reason: why not, when ``flat`` is False.
        last: how to run the last layer at chosen positions only; None where that is not exact.
        length_class: which lengths may share a batch.
        head_matches: logits are head·states and nothing else.
        balance: the router's balancing loss, where it is a part of the loss; None elsewhere.
    """

    def __init__(self, model: Any, *, flat: bool = True) -> None:
        self.model = model
        self.length_class = LengthClasses(model.config.get_text_config())
        self.balance: RouterBalance | None = None
        self._routed: tuple[Tensor, ...] = ()
        self.stack: Stack = layer_stack(model)
        self.body: nn.Module = _find_body(model, self.stack)
        self.flat, self.reason = False, "padding was asked for"
        self.last: LastLayer | None = None
        self.head_matches = False
        self._wanted = flat
        attention.register_flat_attention()
        self._use_native()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device  # type: ignore[no-any-return]

    # --- forward ---------------------------------------------------------------------------

    def hidden_states(
        self, ids: Tensor, positions: Tensor, layout: Layout, at: Tensor | None = None
    ) -> Tensor:
        """[T, d] states that the head reads. ids, positions: [T], positions restart per example.

        With ``at``, [S] flat indices, only the states there: [S, d].
        """
        if not self.flat:
            padded = self._run_padded(ids, layout)
            return padded if at is None else padded[at]
        size = len(ids) if at is None else len(at)
        tokens = layout.expand if layout.expand is not None else slice(0, len(ids))
        ids, positions, layout = fill_batch(ids, positions, layout)
        self._forget_longest()
        at = None if at is None else fill_rows(at)
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.flat_attending())
            if at is not None and self.last is not None:
                stack.enter_context(self.last.at(self.stack.layers[-1], at))
            out = self.body(
                input_ids=ids[None],
                attention_mask=torch.ones_like(ids)[None],
                position_ids=positions[None],
                layout=layout,
                use_cache=False,
                **self._router_options(),
            )
        self._note_routing(out, tokens)
        states: Tensor = out.last_hidden_state[0]
        return (states if at is None or self.last is not None else states[at])[:size]

    @torch.no_grad()
    def states_below(self, ids: Tensor, positions: Tensor, layout: Layout, layer: int) -> Tensor:
        """[T, d] states that enter ``layer`` (0-based)."""

        def stop(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            raise _ReachedError(args[0] if args else kwargs["hidden_states"])

        handle = self.stack.layers[layer].register_forward_pre_hook(stop, with_kwargs=True)
        try:
            self.hidden_states(ids, positions, layout)
        except _ReachedError as reached:
            return reached.hidden[0][: len(ids)]
        finally:
            handle.remove()
        raise AssertionError("the layer did not run")

    def states_above(
        self,
        states: Tensor,
        ids: Tensor,
        positions: Tensor,
        layout: Layout,
        layer: int,
        at: Tensor | None = None,
    ) -> Tensor:
        """As ``hidden``, from the states [T, d] that enter ``layer``."""
        states = fill_rows(states) if self.flat else states

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
            return self.hidden_states(ids, positions, layout, at)
        finally:
            setattr(self.stack.parent, self.stack.attribute, original)
            handle.remove()

    def balance_loss(self) -> Tensor:
        """The router's balancing loss over the tokens of the last forward, coefficient included."""
        assert self.balance is not None
        return self.balance.measure(self._routed)

    def _router_options(self) -> dict[str, Any]:
        return {} if self.balance is None else {"output_router_logits": True}

    def _note_routing(self, out: Any, tokens: Any) -> None:
        """Keep the routers' logits of the examples' tokens (shared ones once an example)."""
        if self.balance is not None:
            experts = self.balance.experts
            self._routed = tuple(
                logits.reshape(-1, experts)[tokens] for logits in out.router_logits
            )

    def _forget_longest(self) -> None:
        if self.length_class.dynamic is not None:
            forget_longest(self.model)

    def token_losses(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """[S] −log p(label) at states [S, d]; the head must be frozen to differentiate it."""
        weight, bias = self._head_weights()
        if self.head_matches:
            return token_nll(hidden, weight, bias, labels)
        logits = self._own_logits(hidden).float()
        return nn.functional.cross_entropy(logits, labels, reduction="none")

    def weighted_loss(
        self, hidden: Tensor, labels: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Σ wᵢ·nllᵢ and the [S] nll, at states [S, d]."""
        if self.head_matches:
            return weighted_nll(hidden, *self._head_weights(), labels, weights)
        nll = self.token_losses(hidden, labels)
        return (nll * weights).sum(), nll.detach()

    # --- the model's way ---------------------------------------------------------------------

    def _head_weights(self) -> tuple[Tensor, Tensor | None]:
        head = self.model.get_output_embeddings()
        return head.weight, getattr(head, "bias", None)

    def _own_logits(self, hidden: Tensor) -> Tensor:
        """[S, V] logits by the model's code after its body (soft caps, scales)."""

        def replace_states(module: nn.Module, args: Any, output: Any) -> Any:
            output.last_hidden_state = hidden[None]
            return output

        # Some models (OPT) call the decoder inside their body, and never the body itself.
        bodies = {id(module): module for module in (self.body, self.model.get_decoder())}
        handles = [
            module.register_forward_hook(replace_states)
            for module in bodies.values()
            if isinstance(module, nn.Module) and module is not self.model
        ]
        try:
            one = torch.zeros(1, 1, dtype=torch.long, device=hidden.device)
            out = self.model(input_ids=one, attention_mask=torch.ones_like(one), use_cache=False)
            return out.logits[0]  # type: ignore[no-any-return]
        finally:
            for handle in handles:
                handle.remove()

    def _run_padded(self, ids: Tensor, layout: Layout) -> Tensor:
        full = ids if layout.expand is None else ids[layout.expand]
        rows = torch.split(full, list(layout.lengths))
        batch = nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
        lengths = torch.tensor(layout.lengths, device=ids.device)
        mask = torch.arange(batch.shape[1], device=ids.device)[None] < lengths[:, None]
        self._forget_longest()
        out = self.body(
            input_ids=batch,
            attention_mask=mask.long(),
            use_cache=False,
            **self._router_options(),
        )
        self._note_routing(out, mask.reshape(-1))
        states: Tensor = out.last_hidden_state[mask]
        return states if layout.keep is None else states[layout.keep]

    def _use_native(self) -> None:
        if self.model.config._attn_implementation == attention.NAME:
            self.model.set_attn_implementation("sdpa" if self.model._supports_sdpa else "eager")

    @contextlib.contextmanager
    def flat_attending(self) -> Iterator[None]:
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

    def _run_alone(self, ids: Tensor) -> Tensor:
        self._forget_longest()
        mask = torch.ones_like(ids)[None]
        out = self.body(input_ids=ids[None], attention_mask=mask, use_cache=False)
        return out.last_hidden_state[0]  # type: ignore[no-any-return]
