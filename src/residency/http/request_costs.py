"""What requests took: seconds, attempts, tokens and money, as far as the server tells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from residency.config.endpoint import EndpointConfig
from residency.http.chat_completions import Completion


@dataclass(frozen=True)
class Call:
    """What one answered or failed request took.

    Attributes:
        index: the prompt's position. seconds: from first sending to the answer, pauses included.
        attempts: times it was sent. prompt_tokens, answer_tokens: as the server counted them;
            None where it did not say.
        cost: by the prices of the settings, in their currency; None without prices, and where the
            server did not count what is paid for.
        error: empty when answered.
    """

    index: int
    seconds: float
    attempts: int
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    cost: float | None = None
    error: str = ""


def price_completion(completion: Completion, config: EndpointConfig) -> float | None:
    """The price of one answer; None without prices, and where the server did not count the tokens
    that are paid for."""
    if not (config.prompt_price or config.cached_price or config.answer_price):
        return None
    cost = 0.0
    if config.prompt_price or config.cached_price:
        if completion.prompt_tokens is None:
            return None
        cached = min(completion.cached_tokens, completion.prompt_tokens)
        cached_price = config.prompt_price if config.cached_price is None else config.cached_price
        cost += (completion.prompt_tokens - cached) * config.prompt_price + cached * cached_price
    if config.answer_price:
        if completion.answer_tokens is None:
            return None
        cost += completion.answer_tokens * config.answer_price
    return cost / 1e6


def sum_costs(calls: Iterable[Call]) -> float | None:
    """The cost of the answered requests; None where the cost of one is not known."""
    costs = [call.cost for call in calls if not call.error]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def sum_answer_tokens(calls: Iterable[Call]) -> int | None:
    """The tokens of all answers; None where the server did not count those of one."""
    counts = [call.answer_tokens for call in calls if not call.error]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
