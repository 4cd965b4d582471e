"""From log-likelihoods to acc, acc_norm, mc1, mc2 and their standard errors.

Definitions of lm-evaluation-harness 0.4.13: acc is the share of items whose likeliest choice
is the right one; acc_norm divides each log-likelihood by the choice's length in characters;
mc1 is acc where the first choice is the right one; mc2 is the probability of the true choices
after normalising over all. Perplexities are e to the negative log-likelihood an item, a word or a byte.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from residency.evaluate.benchmarks.task import Question
from residency.interfaces import ChoiceScore


@dataclass(frozen=True)
class ItemResult:
    """One item as a model answered it.

    Attributes:
        task: name of the task. index: its row in the split. prompt: hash of its context.
        logprobs: sum of log-probabilities of each choice. gold, chosen: indices.
        values: its contribution to each metric. weights: its words or bytes, for metrics that are
            a sum over them. answer: what the model wrote, where it writes.
    """

    task: str
    index: int
    prompt: str
    logprobs: tuple[float, ...]
    gold: int
    chosen: int
    values: dict[str, float]
    weights: dict[str, float] = field(default_factory=dict)
    answer: str = ""


@dataclass(frozen=True)
class Metric:
    """A mean over items with its standard error."""

    value: float
    stderr: float
    n: int


LOG_METRICS = {"perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte"}
"""Metrics made of log-likelihoods: an item contributes its log-likelihood, and less is better."""


def score_whole_text(text: str, logprob: float) -> tuple[dict[str, float], dict[str, float]]:
    """What a text contributes to each metric, and its weight there: words or bytes."""
    words, size = float(len(re.split(r"\s+", text))), float(len(text.encode()))
    weights = {"word_perplexity": words, "byte_perplexity": size, "bits_per_byte": size}
    return dict.fromkeys(weights, logprob), weights


def item_values(
    question: Question, scores: Sequence[ChoiceScore], kind: str = "choice"
) -> dict[str, float]:
    """Every metric's value of one item."""
    if kind == "likelihood":
        return {"acc": float(scores[0].greedy), "perplexity": scores[0].logprob}
    sums = np.array([score.logprob for score in scores])
    lengths = np.array([float(len(choice)) for choice in question.choices])
    best = float(np.argmax(sums) == question.gold)
    sizes = np.array([float(len(choice.encode())) for choice in question.choices])
    values = {
        "acc": best,
        "acc_bytes": float(np.argmax(sums / sizes) == question.gold),
        "acc_norm": float(np.argmax(sums / lengths) == question.gold),
        "mc1": best,
    }
    if question.labels:
        mass = np.exp(sums)
        values["mc2"] = float(np.sum((mass / np.sum(mass))[np.array(question.labels)]))
    return values


def average_metric(
    name: str, values: Sequence[float], weights: Sequence[float] | None = None
) -> Metric:
    """A metric over items: means, and for ``LOG_METRICS`` what their log-likelihoods say.

    Args:
        weights: words or bytes of each item, over which the log-likelihood is shared out.

    The error of a perplexity is that of the mean carried through the exponential.
    """
    if name not in LOG_METRICS:
        return average_items(values)
    average = average_ratio(values, weights or [1.0] * len(values))
    if name == "bits_per_byte":
        return Metric(-average.value / math.log(2), average.stderr / math.log(2), average.n)
    value = math.exp(min(-average.value, 700.0))
    return Metric(value, value * average.stderr, average.n)


def average_ratio(values: Sequence[float], weights: Sequence[float]) -> Metric:
    """Σ values / Σ weights, with the error of a ratio (first order, n − 1)."""
    n, total = len(values), math.fsum(weights)
    ratio = math.fsum(values) / total
    if n < 2:
        return Metric(ratio, math.nan, n)
    rest = math.fsum((v - ratio * w) ** 2 for v, w in zip(values, weights, strict=True))
    return Metric(ratio, math.sqrt(rest * n / (n - 1)) / total, n)


def average_items(values: Sequence[float]) -> Metric:
    """Mean and s/√n, s with n − 1; the error of a single item is unknown (nan)."""
    n = len(values)
    average = math.fsum(values) / n
    if n < 2:
        return Metric(average, math.nan, n)
    variance = math.fsum((value - average) ** 2 for value in values) / (n - 1)
    return Metric(average, math.sqrt(variance / n), n)


def pool_metrics(metrics: Sequence[Metric]) -> Metric:
    """Average of tasks weighted by their size; its error from the pooled within-task variance.

    As lm-evaluation-harness aggregates MMLU: √(Σ (nᵢ−1) nᵢ SEᵢ² / (Σnᵢ − k) / Σnᵢ).
    """
    total = sum(metric.n for metric in metrics)
    value = math.fsum(metric.value * metric.n for metric in metrics) / total
    if total <= len(metrics):
        return Metric(value, math.nan, total)
    within = math.fsum((m.n - 1) * m.n * m.stderr**2 for m in metrics if m.n > 1)
    return Metric(value, math.sqrt(within / (total - len(metrics)) / total), total)
