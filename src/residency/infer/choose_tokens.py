"""Which token comes next, from a row of logits and the settings of sampling."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from residency.infer.sequences import Run
from residency.nouns.response import Sampling


def pick_tokens(logits: Tensor, rows: Sequence[tuple[Run, int]]) -> tuple[list[int], list[float]]:
    """The next token of each row and its log-probability under the model (temperature 1).

    Args:
        logits: [n, vocabulary], fp32. rows: whose row it is, and which of its tokens (a draft
            under verification has several).

    Sampling follows the usual order: temperature, then top-k, then top-p, then one draw by
    inverse CDF over the vocabulary, in double precision.
    """
    sampling = rows[0][0].sampling
    total = logits.logsumexp(-1)
    if sampling.temperature == 0:
        best, tokens = logits.max(-1)
        return tokens.tolist(), (best - total).tolist()
    draws = torch.tensor([run.get_uniform(step) for run, step in rows], dtype=torch.float64)
    tokens = draw_tokens(logits, sampling, draws.to(logits.device))
    chosen = logits.gather(1, tokens[:, None])[:, 0]
    return tokens.tolist(), (chosen - total).tolist()


def draw_tokens(logits: Tensor, sampling: Sampling, uniform: Tensor) -> Tensor:
    """One token a row: the inverse CDF of the truncated distribution at ``uniform`` [n]."""
    scores = logits / sampling.temperature
    if 0 < sampling.top_k < scores.shape[-1]:
        lowest = scores.topk(sampling.top_k, -1).values[:, -1:]
        scores = scores.masked_fill(scores < lowest, float("-inf"))
    probabilities = scores.softmax(-1)
    if sampling.top_p < 1:
        ordered = probabilities.sort(-1, descending=True).values
        # The smallest set whose mass reaches top_p: everything from its last member up.
        before = ordered.cumsum(-1) - ordered
        nucleus = (before < sampling.top_p).sum(-1, keepdim=True).clamp_min(1)
        lowest = ordered.gather(1, nucleus - 1)
        probabilities = probabilities.masked_fill(probabilities < lowest, 0.0)
    cumulative = probabilities.double().cumsum(-1)
    target = uniform[:, None] * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, target, right=True)
    return tokens[:, 0].clamp_max(scores.shape[-1] - 1)
