"""What requests cost: unknown is not nothing."""

from __future__ import annotations

import pytest

from residency.config.endpoint import EndpointConfig
from residency.http.chat_completions import read_completion
from residency.http.request_costs import price_completion


def price(usage: object, **prices: float) -> float | None:
    choice = {"message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    config = EndpointConfig(url="http://host/v1", **prices)
    return price_completion(read_completion({"choices": [choice], "usage": usage}), config)


COUNTED = {"prompt_tokens": 1000, "completion_tokens": 100}


@pytest.mark.parametrize(
    ("usage", "prices", "cost"),
    [
        (COUNTED, {}, None),
        (COUNTED, {"prompt_price": 2.0, "answer_price": 10.0}, 0.003),
        (COUNTED, {"answer_price": 10.0}, 0.001),
        (None, {"answer_price": 10.0}, None),
        ({}, {"prompt_price": 2.0}, None),
        ({"prompt_tokens": -5, "completion_tokens": 100}, {"prompt_price": 2.0}, None),
        ({"prompt_tokens": "12", "completion_tokens": 100}, {"prompt_price": 2.0}, None),
        ({"prompt_tokens": True, "completion_tokens": 100}, {"prompt_price": 2.0}, None),
        ({"prompt_tokens": 1000}, {"prompt_price": 2.0}, 0.002),
        (
            {**COUNTED, "prompt_tokens_details": {"cached_tokens": 5000}},
            {"prompt_price": 2.0, "cached_price": 0.0},
            0.0,
        ),
        (
            {**COUNTED, "prompt_tokens_details": {"cached_tokens": 400}},
            {"prompt_price": 2.0, "cached_price": 1.0},
            0.0016,
        ),
        ({**COUNTED, "prompt_tokens_details": "none"}, {"prompt_price": 2.0}, 0.002),
    ],
)
def test_a_request_costs_what_was_counted_at_the_prices_given(
    usage: object, prices: dict[str, float], cost: float | None
) -> None:
    assert price(usage, **prices) == (None if cost is None else pytest.approx(cost))
