"""From log-likelihoods to acc, acc_norm, mc1, mc2 and their standard errors.

Definitions of lm-evaluation-harness 0.4.13: acc is the share of items whose likeliest choice
is the right one; acc_norm divides each log-likelihood by the choice's length in characters;
mc1 is acc where the first choice is the right one; mc2 is the probability of the true choices
after normalising over all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from residency.evaluate.benchmarks.task import Question
from residency.interfaces import ChoiceScore


@dataclass(frozen=True)
class ItemResult:
    """One item as a model answered it.

    Attributes:
        task: name of the task. index: its row in the split. prompt: hash of its context.
        logprobs: sum of log-probabilities of each choice. gold, chosen: indices.
        values: its contribution to each metric.
    """

    task: str
    index: int
    prompt: str
    logprobs: tuple[float, ...]
    gold: int
    chosen: int
    values: dict[str, float]


@dataclass(frozen=True)
class Metric:
    """A mean over items with its standard error."""

    value: float
    stderr: float
    n: int


VALUE_OF = {"perplexity": "log_likelihood"}
"""What each item contributes to a metric that is no mean of items."""


def item_values(
    question: Question, scores: Sequence[ChoiceScore], kind: str = "choice"
) -> dict[str, float]:
    """Every metric's value of one item."""
    if kind == "likelihood":
        return {"acc": float(scores[0].greedy), "log_likelihood": scores[0].logprob}
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


def average_metric(name: str, values: Sequence[float]) -> Metric:
    """A metric over items: perplexity is e to the mean negative log-likelihood, others are means.

    The error of a perplexity is that of the mean carried through the exponential.
    """
    average = average_items(values)
    if name != "perplexity":
        return average
    value = math.exp(min(-average.value, 700.0))
    return Metric(value, value * average.stderr, average.n)


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
