"""One forward for tokens of several models that stand on one base (adapters, full fine-tunings).

Layers that no model in the batch changes run once over all tokens; from the first changed layer on,
each model's products see its tokens, and attention still sees everybody's in one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from residency.infer.fused_model import Attend, FusedModel


def forward_mixed(
    models: Sequence[FusedModel],
    bounds: Sequence[int],
    ids: Tensor,
    positions: Tensor,
    attend: Attend,
    select: Tensor,
) -> list[Tensor]:
    """Hidden states after the final norm, for each model those of its selected tokens.

    Args:
        models: distinct models of one base. bounds: tokens ``bounds[i]:bounds[i + 1]`` are of model i.
        ids, positions: [T]. attend: the attention of all tokens.
        select: ascending indices of the tokens whose hidden state is wanted.

    Returns:
        [selected tokens of the model, hidden] for each model.
    """
    if len(models) == 1:
        return [models[0].forward(ids, positions, attend, select)]
    total = len(models[0].layers)
    shared = min(model.unchanged for model in models)
    spans = [slice(a, b) for a, b in pairwise(bounds)]
    if shared:
        x = models[0].embedding[ids]
        x = models[0].run_layers(x, positions, attend, range(min(shared, total)))
    else:
        parts = [m.embedding[ids[span]] for m, span in zip(models, spans, strict=True)]
        x = torch.cat(parts)
    cos, sin = models[0].cos[positions], models[0].sin[positions]
    for index in range(shared, total):
        prepared = [
            m.prepare_attention(index, x[span], cos[span], sin[span])
            for m, span in zip(models, spans, strict=True)
        ]
        query, key, value = (torch.cat(part) for part in zip(*prepared, strict=True))
        mixed = attend(index, query, key, value)
        if index == total - 1:
            mixed, x, spans = mixed[select], x[select], _spans_of(select, bounds)
        x = torch.cat(
            [m.finish_layer(index, x[s], mixed[s]) for m, s in zip(models, spans, strict=True)]
        )
    if shared >= total:
        x, spans = x[select], _spans_of(select, bounds)
    return [m.normalise(x[s], m.final_norm) for m, s in zip(models, spans, strict=True)]


def _spans_of(select: Tensor, bounds: Sequence[int]) -> list[slice]:
    edges = torch.searchsorted(select, torch.tensor(list(bounds), device=select.device)).tolist()
    return [slice(a, b) for a, b in pairwise(edges)]
