"""The table of ways to do a task: what each did, how they differ, and what follows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from residency.evaluate.suites.scores import Scores
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.nouns.short_view import ShortView

Way = Literal["prompt", "fine-tuned", "endpoint"]


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
        responses, findings: its answers, and every finding on them.
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
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        scores = self.scores.to_dict()
        scores.pop("by_item")
        return {**values, "scores": scores, "tokens_per_1000": self.tokens_per_1000}


@dataclass(frozen=True)
class Difference:
    """Paired difference of two contenders in the primary metric, on the same items.

    ``changed`` items came out otherwise; ``metric`` is the metric's title.
    """

    better: str
    than: str
    mean: float
    low: float
    high: float
    n: int
    changed: int = 0
    metric: str = "checks passed"


@dataclass(frozen=True, repr=False)
class BaselineReport(ShortView):
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
