"""What a request asks of its answers: their length, how tokens are drawn, and rules for the scores."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from residency.config.serve import ServeConfig
from residency.errors import DataError, MissingExtraError
from residency.infer.live_engine import LiveEngine
from residency.infer.request_rules import RepetitionCost, TokenBias
from residency.infer.sequences import AnswerRule, describe_foreign_token
from residency.nouns.response import Sampling
from residency.serve.api_errors import ApiError, refuse_parameter
from residency.serve.read_request import ChatRequest, GenerationRequest
from residency.text.counts import write_count


def read_sampling(
    request: GenerationRequest,
    config: ServeConfig,
    temperature: float,
    budget: int | None = None,
    *,
    default: int | None = None,
) -> Sampling:
    """How the answers of a request are drawn; without a seed of the client's, by a new one.

    Args:
        temperature: where the request names none. budget: ``max_completion_tokens``.
        default: tokens of an answer where the request names none; None: as many as the server gives.

    Raises:
        ApiError: more tokens than the server gives, or none, or two numbers that differ.
    """
    if budget is not None and request.max_tokens not in (None, budget):
        raise refuse_parameter("max_tokens", "differs from max_completion_tokens.")
    wanted = budget if budget is not None else request.max_tokens
    name = "max_tokens" if budget is None else "max_completion_tokens"
    if wanted is not None and wanted > config.max_tokens:
        raise refuse_parameter(name, f"at most {config.max_tokens} here.")
    if wanted == 0 and not getattr(request, "echo", False):
        raise refuse_parameter(name, "at least 1.")
    if wanted is None:
        wanted = min(default or config.max_tokens, config.max_tokens)
    return Sampling(
        max_new_tokens=max(1, wanted),
        temperature=temperature if request.temperature is None else request.temperature,
        top_p=1.0 if request.top_p is None else request.top_p,
        top_k=request.top_k or 0,
        stop=request.stops,
        seed=secrets.randbits(63) if request.seed is None else request.seed,
    )


def check_length(live: LiveEngine, ids: Sequence[int], param: str) -> None:
    """A prompt must hold a token, none of them foreign, and leave room for an answer.

    Raises:
        ApiError: it does not; ``param`` names the parameter that holds it.
    """
    if not ids:
        raise refuse_parameter(param, "it holds no token.")
    foreign = describe_foreign_token(ids, live.vocabulary)
    if foreign:
        raise refuse_parameter(param, f"{foreign}.")
    if len(ids) >= live.context:
        raise ApiError(
            400, f"{param}: {write_count(len(ids), 'token leaves', 'tokens leave')} no room in the model's context of "
            f"{live.context}.", param=param, code="context_length_exceeded",
        )  # fmt: skip


def make_rules(request: GenerationRequest, live: LiveEngine) -> list[AnswerRule]:
    """What is done to the scores; fresh for each run, since some of it follows the answer.

    Raises:
        ApiError: a parameter is not one that the model can follow.
    """
    rules: list[AnswerRule] = []
    presence, frequency = request.presence_penalty or 0.0, request.frequency_penalty or 0.0
    if presence or frequency:
        rules.append(RepetitionCost(presence, frequency))
    if request.logit_bias:
        rules.append(TokenBias(_read_biases(request.logit_bias, live.vocabulary)))
    if isinstance(request, ChatRequest) and request.response_format is not None:
        schema = _read_schema(request)
        if schema is not None:
            try:
                rules.append(live.constrain_json(schema))
            except MissingExtraError as error:
                raise refuse_parameter(
                    "response_format", error.what, "unsupported_parameter"
                ) from None
            except DataError as error:
                raise refuse_parameter("response_format", error.what) from None
    return rules


def _read_biases(biases: Mapping[str, float], vocabulary: int) -> dict[int, float]:
    out = {}
    for token, value in biases.items():
        if not (token.isascii() and token.isdigit() and len(token) < 10):
            raise refuse_parameter("logit_bias", "its keys are token ids.")
        if int(token) >= vocabulary:
            raise refuse_parameter("logit_bias", "a token id is beyond the vocabulary.")
        out[int(token)] = value
    return out


def _read_schema(request: ChatRequest) -> dict[str, Any] | None:
    wanted = request.response_format
    assert wanted is not None
    if wanted.type == "json_schema":
        if wanted.json_schema is None:
            raise refuse_parameter("response_format", "json_schema is missing.")
        return wanted.json_schema.schema_
    return {"type": "object"} if wanted.type == "json_object" else None
