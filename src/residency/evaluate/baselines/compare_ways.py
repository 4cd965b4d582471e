"""Should I fine-tune at all? The same items by prompt, by retrieval and by the tuned model.

This module turns answers that are there into one table and a recommendation; it generates
nothing. Findings are passed in, so every detector of the project may count.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from residency.evaluate.suites.scores import Scores, summarise_scores
from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.stats.intervals import mean_interval
from residency.stats.sample_reducer import Reduce, check_outcomes
from residency.text.words import split_words

Way = Literal["prompt", "fine-tuned", "endpoint"]
CONSISTENCY = "inconsistency"


@dataclass(frozen=True)
class Price:
    """What an answer costs: per million tokens (an endpoint), or per hour of the machine."""

    input_per_million: float = 0.0
    output_per_million: float = 0.0
    per_hour: float = 0.0

    def price_request(
        self, prompt_tokens: float | None, answer_tokens: float | None, seconds: float
    ) -> float | None:
        """Cost of one request in the price's currency; None when no price is known, or the tokens
        that are paid for were not counted."""
        if not (self.input_per_million or self.output_per_million or self.per_hour):
            return None
        cost = seconds / 3600 * self.per_hour
        for price, tokens in (
            (self.input_per_million, prompt_tokens),
            (self.output_per_million, answer_tokens),
        ):
            if price and tokens is None:
                return None
            cost += price * (tokens or 0.0) / 1e6
        return cost


@dataclass(frozen=True)
class Contender:
    """One way to do the task, with its answers.

    Attributes:
        name: how it is called in the table.
        way: prompt, fine-tuned or endpoint.
        responses, findings: its answers, and everything found in them.
        latencies: seconds of single requests, one at a time (not the shares of a batch).
        answer_tokens: tokens of each answer where the responses hold no token ids (an endpoint).
        leaves_machine: whether prompts are sent elsewhere.
    """

    name: str
    way: Way
    responses: Sequence[Response]
    findings: Sequence[Finding]
    latencies: Sequence[float] = ()
    answer_tokens: Sequence[int] = ()
    leaves_machine: bool = False
    price: Price = dataclasses.field(default_factory=Price)


@dataclass(frozen=True)
class BaselineRow:
    """One line of the table.

    Attributes:
        scores: score and failure rates with intervals and coverage.
        words: mean words an answer. p50, p95: latency in seconds of a single request.
        prompt_tokens, answer_tokens: means a request; None where they are not known.
        cost_per_1000: cost of 1000 requests; None without a price.
    """

    name: str
    way: Way
    scores: Scores
    items: int
    errors: int
    words: float
    p50: float | None
    p95: float | None
    prompt_tokens: float | None
    answer_tokens: float | None
    cost_per_1000: float | None
    leaves_machine: bool

    @property
    def tokens_per_1000(self) -> float | None:
        """Prompt and answer tokens of 1000 requests."""
        if self.prompt_tokens is None or self.answer_tokens is None:
            return None
        return 1000 * (self.prompt_tokens + self.answer_tokens)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, the per-item scores left out."""
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        scores = self.scores.to_dict()
        scores.pop("by_item")
        return {**own, "scores": scores, "tokens_per_1000": self.tokens_per_1000}


@dataclass(frozen=True)
class Difference:
    """Paired difference of two contenders in the share of checks passed, on the same items."""

    better: str
    than: str
    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class BaselineReport:
    """The table, the paired differences from the best prompt, and the recommendation."""

    rows: tuple[BaselineRow, ...]
    differences: tuple[Difference, ...]
    recommendation: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "rows": [row.to_dict() for row in self.rows],
            "differences": [dataclasses.asdict(d) for d in self.differences],
            "recommendation": list(self.recommendation),
        }


def compare_ways(
    contenders: Sequence[Contender],
    examples: Sequence[Example],
    *,
    split: str = "dev",
    seed: int = 0,
    reduce: Reduce = "majority",
) -> BaselineReport:
    """One row a contender, paired differences, and what follows from them in plain words.

    ``reduce`` says how several samples of an item become one outcome.
    """
    rows = tuple(_row(c, examples, seed, reduce) for c in contenders)
    shares = {c.name: _passed_shares(c, reduce) for c in contenders}
    groups = {e.id: e.group or e.id for e in examples}
    prompts = [row for row in rows if row.way == "prompt"]
    differences: tuple[Difference, ...] = ()
    if prompts:
        best = max(prompts, key=lambda row: _mean(shares[row.name]))
        differences = tuple(
            _difference(row.name, best.name, shares, groups, seed)
            for row in rows
            if row.name != best.name
        )
    return BaselineReport(rows, differences, tuple(_recommend(rows, differences, shares, split)))


def _row(
    contender: Contender, examples: Sequence[Example], seed: int, reduce: Reduce
) -> BaselineRow:
    live = [r for r in contender.responses if r.finish != "error"]
    prompt_tokens = [r.prompt_tokens for r in live if r.prompt_tokens]
    answer_tokens = [len(r.token_ids) for r in live if r.token_ids] or contender.answer_tokens
    latencies = np.asarray(contender.latencies, np.float64)
    mean_prompt = float(np.mean(prompt_tokens)) if prompt_tokens else None
    mean_answer = float(np.mean(answer_tokens)) if answer_tokens else None
    # Cost of a machine is paid by the second that a request keeps it busy: its share of a batch.
    busy = float(np.mean([r.seconds for r in live])) if live else 0.0
    cost = contender.price.price_request(mean_prompt, mean_answer, busy)
    return BaselineRow(
        name=contender.name,
        way=contender.way,
        scores=summarise_scores(
            contender.findings, examples, contender.responses, seed=seed, reduce=reduce
        ),
        items=len({response.example for response in contender.responses}),
        errors=len(contender.responses) - len(live),
        words=float(np.mean([len(split_words(r.text)) for r in live])) if live else 0.0,
        p50=float(np.quantile(latencies, 0.5)) if latencies.size else None,
        p95=float(np.quantile(latencies, 0.95)) if latencies.size else None,
        prompt_tokens=mean_prompt,
        answer_tokens=mean_answer,
        cost_per_1000=None if cost is None else 1000 * cost,
        leaves_machine=contender.leaves_machine,
    )


def _passed_shares(contender: Contender, reduce: Reduce) -> dict[str, float]:
    """Example → share of the suite's checks that passed, an unscored check as not passed.

    Comparing needs one denominator for both sides: an answer that cannot be parsed would
    otherwise be compared on other checks than one that can. Errors are left out.
    """
    live = [response for response in contender.responses if response.finish != "error"]
    suite = [finding for finding in contender.findings if finding.detector.startswith("suite:")]
    return {
        example: sum(failed is False for failed in checks.values()) / len(checks)
        for example, checks in check_outcomes(suite, live, reduce).items()
        if checks
    }


def _mean(shares: Mapping[str, float]) -> float:
    return sum(shares.values()) / len(shares) if shares else 0.0


def _difference(
    name: str,
    best: str,
    shares: Mapping[str, Mapping[str, float]],
    groups: Mapping[str, str],
    seed: int,
) -> Difference:
    both = [e for e in shares[name] if e in shares[best]]
    values = [shares[name][e] - shares[best][e] for e in both]
    low, high = mean_interval(values, [groups.get(e, e) for e in both], signed=True)
    mean = sum(values) / len(values) if values else 0.0
    if not values or math.isinf(low):
        low, high = -1.0, 1.0
    return Difference(name, best, mean, low, high, len(values))


def _recommend(
    rows: Sequence[BaselineRow],
    differences: Sequence[Difference],
    shares: Mapping[str, Mapping[str, float]],
    split: str,
) -> list[str]:
    tuned = [row for row in rows if row.way == "fine-tuned"]
    prompts = [row for row in rows if row.way == "prompt"]
    if not prompts:
        return ["There is no prompted baseline to compare with."]
    best = max(prompts, key=lambda row: _mean(shares[row.name]))
    said = []
    if tuned:
        row = max(tuned, key=lambda r: _mean(shares[r.name]))
        difference = next(d for d in differences if d.better == row.name)
        said.append(_verdict(row, best, difference))
        said += _price_of_it(row, best)
    else:
        worst = _worst_kinds(best)
        said.append(
            f"No fine-tuned model yet. The best prompt is {best.name}: "
            f"{_percent(_mean(shares[best.name]))} of the checks pass"
            + (f"; it fails most in {worst}." if worst else ".")
        )
        said.append("Whether fine-tuning does better is measured by: residency run")
    for row in rows:
        if row.leaves_machine:
            said.append(f"{row.name} sends every prompt to another machine.")
    said.append(_rests_on(rows, split))
    return said


def _verdict(row: BaselineRow, best: BaselineRow, d: Difference) -> str:
    points = f"{100 * d.mean:+.1f} points [{100 * d.low:+.1f}, {100 * d.high:+.1f}]"
    if d.low > 0:
        return (
            f"Fine-tune: {row.name} passes more checks than the best prompt ({best.name}), "
            f"{points} on {d.n} items."
        )
    if d.high < 0:
        return (
            f"Do not fine-tune (yet): the best prompt ({best.name}) passes more checks than "
            f"{row.name}, {points} on {d.n} items."
        )
    if d.low == d.high == 0:
        return f"No difference: {row.name} and {best.name} pass the same checks on all {d.n} items."
    return (
        f"Undecided: {row.name} against the best prompt ({best.name}) is {points} on {d.n} items; "
        f"a difference smaller than about {50 * (d.high - d.low):.0f} points cannot be seen here."
    )


def _price_of_it(row: BaselineRow, best: BaselineRow) -> list[str]:
    """What else changes for a request, where both were measured."""
    said = []
    if row.prompt_tokens and best.prompt_tokens:
        ratio = best.prompt_tokens / row.prompt_tokens
        said += _times("Its prompts are", ratio, "shorter", "longer")
    if row.p50 and best.p50:
        ratio = best.p50 / row.p50
        said += _times("A single request (median) is", ratio, "faster", "slower")
    return said


def _times(what: str, ratio: float, more: str, less: str) -> list[str]:
    """A sentence about a ratio; silence when it is within a tenth of 1."""
    if 1 / 1.1 < ratio < 1.1:
        return []
    return [f"{what} {max(ratio, 1 / ratio):.1f} times {more if ratio > 1 else less}."]


def _worst_kinds(row: BaselineRow) -> str:
    rates = [(k, r.rate) for k, r in row.scores.kinds.items() if r.rate]
    worst = sorted(rates, key=lambda pair: -(pair[1] or 0.0))[:3]
    return ", ".join(f"{kind} ({_percent(rate or 0.0)})" for kind, rate in worst)


def _rests_on(rows: Sequence[BaselineRow], split: str) -> str:
    coverage = ", ".join(f"{row.name} {_percent(row.scores.score.coverage)}" for row in rows)
    errors = sum(row.errors for row in rows)
    word = "request" if errors == 1 else "requests"
    lost = f" {errors} {word} failed and are left out." if errors else ""
    return (
        f"This rests on {max(row.items for row in rows)} answers each on {split}, one seed, and the "
        "suite's checks; differences are paired by item, intervals are 95 % bootstrap over groups, "
        f"a check that could not be scored counts as not passed. Scored: {coverage}.{lost}"
    )


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"
