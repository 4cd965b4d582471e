"""Sizes rounded up, so that what a product needs is made once and used again.

oneDNN makes code and buffers for each shape that it meets and keeps up to 1024 of them. Batches of
text rarely have the same number of tokens twice: a run would make all of it anew at every step
(figures: docs/training.md). So a flat batch gets a few tokens more, as a separate example that
nobody sees and nothing is predicted from.

Shapes: T flat tokens, E expanded tokens, S chosen positions.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from residency.model.attention import Layout

_SMALLEST, _SHARE = 8, 16


def round_up_size(size: int) -> int:
    """The next size that is used: at most 1/16 (below 128: seven) more than this one."""
    grain = _SMALLEST
    while grain * 2 * _SHARE <= size:
        grain *= 2
    return -(-size // grain) * grain


def fill_batch(ids: Tensor, positions: Tensor, layout: Layout) -> tuple[Tensor, Tensor, Layout]:
    """A flat batch with one more example at its end, so that T is a rounded size."""
    size = len(ids)
    more = round_up_size(size) - size
    if not more:
        return ids, positions, layout
    extra_positions = torch.arange(more, device=ids.device)
    shared, expand, keep = layout.shared, layout.expand, layout.keep
    if expand is not None and keep is not None:
        expand, keep = (
            torch.cat([expand, extra_positions + size]),
            torch.cat([keep, extra_positions + len(expand)]),
        )
        shared = (*shared, 0)
    layout = Layout((*layout.lengths, more), shared, expand, keep)
    return pad(ids, (0, more)), torch.cat([positions, extra_positions]), layout


def fill_rows(rows: Tensor) -> Tensor:
    """[n, …] with rows of zeros at its end, n then being a rounded size."""
    more = round_up_size(len(rows)) - len(rows)
    return pad(rows, (0, 0) * (rows.ndim - 1) + (0, more)) if more else rows
