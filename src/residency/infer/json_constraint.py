"""Answers that a JSON schema constrains: tokens that would leave it are never picked (llguidance)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from residency.errors import DataError, MissingExtraError

_SPACES = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""JSON is written as Python writes it: where spaces are free, small models write nothing else."""
_MOST_LEVELS = 32
"""Levels of a schema."""


class JsonGrammars:
    """Schemas compiled for one tokenizer.

    Args:
        tokenizer: of the package tokenizers, without truncation and padding. vocabulary: length of a row of scores.
        end_ids: tokens that may follow a finished answer.

    Raises:
        MissingExtraError: llguidance is not installed.
    """

    def __init__(self, tokenizer: Any, vocabulary: int, end_ids: Sequence[int]) -> None:
        try:
            import llguidance
        except ImportError:
            raise MissingExtraError(
                "answers by a JSON schema need the package llguidance",
                next_step="pip install 'residency[serve]'",
            ) from None
        self._library: Any = llguidance
        self._tokenizer = self._library.LLTokenizer(
            tokenizer.to_str(), n_vocab=vocabulary, eos_token=list(end_ids)
        )
        self._end_ids = list(end_ids)

    def constrain(self, schema: Mapping[str, Any]) -> JsonConstraint:
        """A rule for one answer.

        Raises:
            DataError: the schema cannot be followed.
        """
        _check_schema(schema, 0)
        matcher_kind = self._library.LLMatcher
        try:
            grammar = matcher_kind.grammar_from_json_schema(
                json.dumps(schema), overrides=dict(_SPACES)
            )
        except ValueError as error:
            raise DataError(f"the schema cannot be followed: {_shorten(error)}") from None
        matcher = matcher_kind(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise DataError(f"the schema cannot be followed: {_shorten(matcher.get_error())}")
        return JsonConstraint(matcher, self._end_ids)


class JsonConstraint:
    """Allows the tokens that keep an answer within its schema, and its end where it is complete."""

    def __init__(self, matcher: Any, end_ids: Sequence[int]) -> None:
        self._matcher = matcher
        self._end_ids = list(end_ids)
        self._read = 0

    def __call__(self, answer: Sequence[int], scores: Tensor) -> Tensor:
        """Scores [vocabulary] after ``answer``, −∞ where the schema forbids the token."""
        self._matcher.consume_tokens(list(answer[self._read :]))
        self._read = len(answer)
        allowed = np.zeros(len(scores), bool)
        if self._matcher.is_error() or self._matcher.is_stopped():
            allowed[self._end_ids] = True
        else:
            bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
            mask = np.unpackbits(bits, bitorder="little")[: len(scores)]
            allowed[: len(mask)] = mask
            if not allowed.any():
                allowed[self._end_ids] = True
        forbidden = torch.from_numpy(~allowed).to(scores.device)
        return scores.masked_fill(forbidden, float("-inf"))


def _check_schema(value: Any, level: int) -> None:
    """References stay within the schema: nothing is ever fetched or read for one."""
    if level > _MOST_LEVELS:
        raise DataError(f"the schema has more than {_MOST_LEVELS} levels")
    if isinstance(value, Mapping):
        for key in ("$ref", "$dynamicRef", "$recursiveRef"):
            target = value.get(key)
            if isinstance(target, str) and not target.startswith("#"):
                raise DataError(f"{key} may only name a part of the schema itself (#/…)")
        if isinstance(value.get("$id"), str):
            raise DataError("$id is not known here: a schema has no address")
        for item in value.values():
            _check_schema(item, level + 1)
    elif isinstance(value, list):
        for item in value:
            _check_schema(item, level + 1)


def _shorten(message: object) -> str:
    return str(message).splitlines()[0][:200] if str(message) else "it is no JSON schema"
