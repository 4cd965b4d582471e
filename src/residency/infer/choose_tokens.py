"""Which token comes next, from a row of logits and the settings of sampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from residency.infer.logits_rules import LogitsRules, Rule
from residency.infer.sequences import Run
from residency.nouns.response import Sampling


class Row(NamedTuple):
    """Whose logits a row holds: those after the run's tokens and, with a draft, after ``guess``."""

    run: Run
    guess: tuple[int, ...] = ()


def pick_tokens(logits: Tensor, rows: Sequence[Row]) -> tuple[list[int], list[float]]:
    """The next token of each row and its log-probability under the model (temperature 1, without
    its rules).

    Args:
        logits: [n, vocabulary], fp32.

    Sampling follows the usual order: the model's rules, temperature, then top-k, then top-p, then
    one draw by inverse CDF over the vocabulary, in double precision. Each row is sampled as its
    run asks.
    """
    total = logits.logsumexp(-1)
    ruled = any(row.run.rules is not None or row.run.own_rules for row in rows)
    scores = _apply_rules(logits, rows) if ruled else logits
    groups: dict[tuple[float, int, float], list[int]] = {}
    for at, row in enumerate(rows):
        sampling = row.run.sampling
        key = (
            (sampling.temperature, sampling.top_k, sampling.top_p)
            if sampling.temperature
            else (0.0, 0, 1.0)
        )
        groups.setdefault(key, []).append(at)
    if len(groups) == 1:
        tokens = _pick_alike(scores, rows)
    else:
        tokens = torch.empty(len(rows), dtype=torch.long, device=logits.device)
        for places in groups.values():
            where = torch.tensor(places, device=logits.device)
            tokens[where] = _pick_alike(scores[where], [rows[at] for at in places])
    chosen = logits.gather(1, tokens[:, None])[:, 0]
    logprobs = (chosen - total).tolist()
    _note_scores(logits, total, rows, logprobs)
    return tokens.tolist(), logprobs


def _pick_alike(scores: Tensor, rows: Sequence[Row]) -> Tensor:
    """One token a row, of rows that are sampled in the same way."""
    sampling, rules = rows[0].run.sampling, rows[0].run.rules
    if sampling.temperature == 0:
        return scores.argmax(-1)
    draws = [row.run.get_uniform(len(row.run.tokens) + len(row.guess)) for row in rows]
    uniform = torch.tensor(draws, dtype=torch.float64, device=scores.device)
    return draw_tokens(scores, sampling, uniform, rules)


def _apply_rules(logits: Tensor, rows: Sequence[Row]) -> Tensor:
    scores = logits.clone()
    for at, (run, guess) in enumerate(rows):
        answer = [*run.tokens, *guess]
        if run.rules is not None:
            assert isinstance(run.rules, LogitsRules)
            scores[at] = run.rules.adjust_scores(answer, logits[at])
        for rule in run.own_rules:
            scores[at] = rule(answer, scores[at])
    return scores


def _note_scores(
    logits: Tensor, total: Tensor, rows: Sequence[Row], logprobs: Sequence[float]
) -> None:
    """Log-probabilities of the picks, and of the likeliest tokens, for runs that want them."""
    for at, (run, _) in enumerate(rows):
        if run.wanted_tops is not None:
            run.logprobs.append(logprobs[at])
            run.tops.append(list_likeliest(logits[at], total[at], run.wanted_tops))


def list_likeliest(scores: Tensor, total: Tensor, count: int) -> list[tuple[int, float]]:
    """The likeliest tokens of a row [vocabulary] with their log-probabilities, best first."""
    if not count:
        return []
    best = scores.topk(min(count, scores.shape[-1]))
    return list(zip(best.indices.tolist(), (best.values - total).tolist(), strict=True))


def draw_tokens(
    logits: Tensor, sampling: Sampling, uniform: Tensor, rules: LogitsRules | None = None
) -> Tensor:
    """One token a row: the inverse CDF of the truncated distribution at ``uniform`` [n]."""
    scores = logits / sampling.temperature
    if rules is not None:
        scores = _shape_rows(scores, rules.draws_first)
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
    if rules is not None and rules.draws_last:
        probabilities = _shape_rows(probabilities.log(), rules.draws_last).softmax(-1)
    cumulative = probabilities.double().cumsum(-1)
    target = uniform[:, None] * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, target, right=True)
    return tokens[:, 0].clamp_max(scores.shape[-1] - 1)


def _shape_rows(scores: Tensor, rules: Sequence[Rule]) -> Tensor:
    nothing = torch.zeros((len(scores), 0), dtype=torch.long, device=scores.device)
    for rule in rules:
        scores = rule(nothing, scores)
    return scores
