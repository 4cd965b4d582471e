"""Log-likelihoods of choices: what items share is computed once, choices as branches of a tree.

Items that begin alike (a subject's few-shot examples) share one prefix, whose keys and values
are computed once. Within an item the choices share its context and branch off at its end. All
of it, for several items, goes through one forward on flat tokens; each token attends to the
prefix, to its item's context and to its branch, and the three are merged by their
log-sum-exp. Logits exist for the scored positions only, a few hundred rows at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from residency.infer.attention import flash_attention, merge_attention
from residency.infer.choice_items import Group, Item, group_items
from residency.infer.fused_model import FusedModel
from residency.infer.generic_model import GenericModel
from residency.infer.shared_prefix import PrefixKV, compute_prefix
from residency.interfaces import ChoiceScore

_CHUNK_TOKENS = 2048
"""Most tokens of one forward (a longer item goes alone)."""
_HEAD_ROWS = 256
"""Rows of logits alive at one time."""


def score_fused(
    model: FusedModel, items: Sequence[Item]
) -> Iterator[tuple[int, list[ChoiceScore]]]:
    """Scores by item index, as they are computed."""
    for group in group_items(items):
        prefix: PrefixKV = []
        if group.prefix:
            with torch.inference_mode():
                prefix = compute_prefix(model, group.items[0].context[: group.prefix])
        for chunk in _split_into_chunks(group):
            with torch.inference_mode():
                chunk_scores = _Forward(model, chunk, prefix, group.prefix).compute_scores()
            for item, item_scores in zip(chunk, chunk_scores, strict=True):
                yield item.index, item_scores


def _split_into_chunks(group: Group) -> Iterator[list[Item]]:
    chunk: list[Item] = []
    tokens = 0
    for item in group.items:
        size = item.shared - group.prefix + sum(len(branch) for branch in item.branches)
        if chunk and tokens + size > _CHUNK_TOKENS:
            yield chunk
            chunk, tokens = [], 0
        chunk.append(item)
        tokens += size
    if chunk:
        yield chunk


class _Forward:
    """Several items laid out flat: each one's context, then its branches."""

    def __init__(
        self, model: FusedModel, items: Sequence[Item], prefix: PrefixKV, start: int
    ) -> None:
        self.model, self.items, self.prefix = model, items, prefix
        ids: list[int] = []
        positions: list[int] = []
        self.spans: list[tuple[int, int, list[tuple[int, int]]]] = []
        """Start and end of each item's context, and of its branches."""
        self.rows: list[int] = []
        """Flat index of the token that predicts each target, request by request."""
        self.targets: list[int] = []
        for item in items:
            begin = len(ids)
            ids += item.context[start:]
            positions += range(start, item.shared)
            end = len(ids)
            branches: list[tuple[int, int]] = []
            for branch in item.branches:
                branches.append((len(ids), len(ids) + len(branch)))
                ids += branch
                positions += range(item.shared, item.shared + len(branch))
            self.spans.append((begin, end, branches))
            for request, number in zip(item.requests, item.of, strict=True):
                for at in range(len(request.inputs) - len(request.targets), len(request.inputs)):
                    inside = at - item.shared
                    row = branches[number][0] + inside if inside >= 0 else begin + at - start
                    self.rows.append(row)
                self.targets += request.targets
        self.ids, self.positions = ids, positions

    def compute_scores(self) -> list[list[ChoiceScore]]:
        """One list of scores an item."""
        device = self.model.embedding.device
        select, which = torch.unique(torch.tensor(self.rows), return_inverse=True)
        hidden = self.model.forward(
            torch.tensor(self.ids, device=device),
            torch.tensor(self.positions, device=device),
            self._make_attention(),
            select.to(device),
        )
        logprobs, greedy = target_logprobs(
            self.model.compute_logits,
            hidden,
            which.to(device),
            torch.tensor(self.targets, device=device),
        )
        out: list[list[ChoiceScore]] = []
        at = 0
        for item in self.items:
            item_scores = []
            for request in item.requests:
                end = at + len(request.targets)
                total, best = float(logprobs[at:end].sum()), bool(greedy[at:end].all())
                item_scores.append(ChoiceScore(total, len(request.targets), best))
                at = end
            out.append(item_scores)
        return out

    def _make_attention(self) -> Callable[[int, Tensor, Tensor, Tensor], Tensor]:
        scale = self.model.scale

        def attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
            lse = torch.empty(query.shape[:2], dtype=torch.float32, device=query.device)

            def attend_within(a: int, b: int) -> None:
                out[a:b], lse[a:b] = flash_attention(
                    query[a:b], key[a:b], value[a:b], scale, causal=True
                )

            for begin, end, branches in self.spans:
                filled = [(a, b) for a, b in [(begin, end), *branches] if b > a]
                for a, b in filled:
                    attend_within(a, b)
                if begin == end or len(filled) == 1:
                    continue
                filled = filled[1:]
                a, b = filled[0][0], filled[-1][1]
                above, above_lse = flash_attention(
                    query[a:b], key[begin:end], value[begin:end], scale, causal=False
                )
                out[a:b] = merge_attention(out[a:b], lse[a:b], above, above_lse)
                lse[a:b] = torch.logaddexp(lse[a:b], above_lse)
            if self.prefix:
                keys, values = self.prefix[layer]
                before, before_lse = flash_attention(
                    query, keys.transpose(0, 1), values.transpose(0, 1), scale, causal=False
                )
                out = merge_attention(out, lse, before, before_lse)
            return out.flatten(1)

        return attend


def target_logprobs(
    head: Callable[[Tensor], Tensor], hidden: Tensor, which: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """log p of each target and whether it is the likeliest token.

    Args:
        head: hidden [n, hidden] → logits [n, vocabulary]. hidden: [rows, hidden].
        which: [targets] the row that predicts each target. targets: [targets] token ids.

    Returns:
        Two tensors [targets]: log-probabilities in double precision, and booleans.
    """
    logprobs = torch.zeros(len(targets), dtype=torch.float64)
    greedy = torch.zeros(len(targets), dtype=torch.bool)
    for at in range(0, hidden.shape[0], _HEAD_ROWS):
        logits = head(hidden[at : at + _HEAD_ROWS])
        in_block = ((which >= at) & (which < at + _HEAD_ROWS)).nonzero()[:, 0]
        rows = which[in_block] - at
        # log_softmax rounds as the harness does; logsumexp is nearer to the truth by 4e-6 a
        # token, which adds up beyond 1e-4 over long answers.
        chosen = logits.log_softmax(-1)[rows, targets[in_block]]
        best = logits.argmax(-1)[rows] == targets[in_block]
        logprobs[in_block.cpu()] = chosen.double().cpu()
        greedy[in_block.cpu()] = best.cpu()
    return logprobs, greedy


def score_generic(
    model: GenericModel, items: Sequence[Item], batch: int
) -> Iterator[tuple[int, list[ChoiceScore]]]:
    """Scores by item index through the model's forward, longest inputs first."""
    paths: dict[tuple[int, ...], int] = {}
    for item in items:
        for request in item.requests:
            paths[request.inputs] = max(paths.get(request.inputs, 0), len(request.targets))
    tails: dict[tuple[int, ...], Tensor] = {}
    for item in sorted(items, key=lambda item: -len(item.requests[0].inputs)):
        missing = [
            ids for ids in dict.fromkeys(r.inputs for r in item.requests) if ids not in tails
        ]
        for some in _split_by_length(model, missing, batch):
            keep = max(paths[ids] for ids in some)
            with torch.inference_mode():
                logits, _, _ = model.compute_logits(some, keep)
            for ids, rows in zip(some, logits, strict=True):
                tails[ids] = rows
        item_scores = []
        for request in item.requests:
            count = len(request.targets)
            with torch.inference_mode():
                logprobs, greedy = target_logprobs(
                    lambda rows: rows,
                    tails[request.inputs][-count:],
                    torch.arange(count),
                    torch.tensor(request.targets),
                )
            item_scores.append(ChoiceScore(float(logprobs.sum()), count, bool(greedy.all())))
        tails.clear()
        yield item.index, item_scores


def _split_by_length(
    model: GenericModel, inputs: Sequence[tuple[int, ...]], batch: int
) -> Iterator[list[tuple[int, ...]]]:
    """Batches whose sequences all use the same rotary frequencies."""
    rope = model.rope_lengths
    short = [ids for ids in inputs if not rope.is_long(len(ids))]
    long = [ids for ids in inputs if rope.is_long(len(ids))]
    for some, most in ((short, batch), (long, batch if rope.two_sets else 1)):
        size = 1 if model.one_by_one else most
        yield from (some[at : at + size] for at in range(0, len(some), size))
