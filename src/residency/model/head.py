"""Cross-entropy straight from hidden states, in chunks: whole logits are never held.

Logits are computed in fp32 also where other products are narrow, so that a loss is read exactly.

The gradient with respect to the hidden states is made in the forward pass, while a chunk's
probabilities are at hand (as Liger and Cut Cross-Entropy, arXiv 2411.09009, do on GPUs).

Shapes: S trained positions, d hidden size, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from residency.model.kernels import are_products_narrow, linear_nt
from residency.model.size_rounding import fill_rows

CHUNK_BYTES = 32 << 20
"""Size of one chunk of logits. Smaller chunks would read the head's weight more often; larger ones
are given back to the system after each use, and every page of them is made anew."""


def _chunk_rows(vocabulary: int, itemsize: int) -> int:
    return max(16, CHUNK_BYTES // (vocabulary * itemsize))


class _TokenNll(torch.autograd.Function):
    """Negative log-likelihood of each label. The head itself is frozen."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor) -> Tensor:
        grad_h = torch.empty_like(h)
        nll = torch.empty(len(h), dtype=torch.float32, device=h.device)
        step = _chunk_rows(len(weight), 4)
        for at in range(0, len(h), step):
            rows = slice(at, at + step)
            probs = _chunk_probabilities(h[rows], weight, bias, labels[rows], nll[rows])
            grad_h[rows] = linear_nt(probs, weight.t(), narrow=are_products_narrow())
        ctx.save_for_backward(grad_h)
        return nll

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (grad_h,) = ctx.saved_tensors
        return grad_h * grad[:, None].to(grad_h.dtype), None, None, None


class _WeightedNll(torch.autograd.Function):
    """Σ wᵢ·nllᵢ with the head trained too: its gradient is summed while the chunks go by."""

    @staticmethod
    def forward(
        ctx: Any, h: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        grad_h = torch.empty_like(h)
        grad_weight = torch.zeros_like(weight)
        grad_bias = None if bias is None else torch.zeros_like(bias)
        nll = torch.empty(len(h), dtype=torch.float32, device=h.device)
        step = _chunk_rows(len(weight), 4)
        for at in range(0, len(h), step):
            rows = slice(at, at + step)
            probs = _chunk_probabilities(h[rows], weight, bias, labels[rows], nll[rows])
            probs *= weights[rows, None].to(probs.dtype)
            grad_h[rows] = linear_nt(probs, weight.t(), narrow=are_products_narrow())
            grad_weight += linear_nt(probs.t(), h[rows].t(), narrow=are_products_narrow())
            if grad_bias is not None:
                grad_bias += probs.sum(0)
        ctx.save_for_backward(grad_h, grad_weight, grad_bias)
        ctx.mark_non_differentiable(nll)
        return (nll * weights).sum(), nll

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        grad_h, grad_weight, grad_bias = ctx.saved_tensors
        return (
            grad_h * grad.to(grad_h.dtype),
            grad_weight.mul_(grad.to(grad_weight.dtype)),
            None if grad_bias is None else grad_bias.mul_(grad.to(grad_bias.dtype)),
            None,
            None,
        )


def _chunk_probabilities(
    h: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, nll: Tensor
) -> Tensor:
    """Fill ``nll`` and return probabilities minus one-hot labels, [rows, V] in h's dtype.

    One buffer all the way: logits become exponentials, then probabilities, in place.
    """
    probs = linear_nt(h, weight, bias).float()
    label_logits = probs.gather(1, labels[:, None])
    most = probs.amax(1, keepdim=True)
    total = probs.sub_(most).exp_().sum(1, keepdim=True)
    nll.copy_((total.log() + most - label_logits)[:, 0])
    probs.div_(total)
    probs[torch.arange(len(labels), device=labels.device), labels] -= 1
    return probs.to(h.dtype)


def token_nll(h: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor) -> Tensor:
    """[S] −log p(label) from hidden states [S, d] and a frozen head [V, d]; differentiable in h."""
    size, h, labels = len(h), fill_rows(h), fill_rows(labels)
    if torch.is_grad_enabled() and h.requires_grad:
        out: Tensor = _TokenNll.apply(h, weight, bias, labels)  # type: ignore[no-untyped-call]
        return out[:size]
    nll = torch.empty(len(h), dtype=torch.float32, device=h.device)
    step = _chunk_rows(len(weight), 4)
    for at in range(0, len(h), step):
        rows = slice(at, at + step)
        logits = linear_nt(h[rows], weight, bias).float()
        nll[rows] = torch.logsumexp(logits, 1) - logits.gather(1, labels[rows, None])[:, 0]
    return nll[:size]


def weighted_nll(
    h: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Σ wᵢ·nllᵢ (differentiable in the hidden states and in the head) and the [S] nll."""
    if torch.is_grad_enabled() and weight.requires_grad:
        arguments = (fill_rows(h), weight, bias, fill_rows(labels), fill_rows(weights))
        total, nll = _WeightedNll.apply(*arguments)  # type: ignore[no-untyped-call]
        return total, nll[: len(h)]
    nll = token_nll(h, weight, bias, labels)
    return (nll * weights).sum(), nll.detach()
