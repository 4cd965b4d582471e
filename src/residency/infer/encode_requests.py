"""Contexts and continuations as ids, cut as lm-evaluation-harness 0.4.13 cuts them.

Context and continuation are tokenised together and cut at the length of the context's
ids; spaces that end the context go over to the continuation first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from residency.errors import SuiteError
from residency.interfaces import Choice


@dataclass(frozen=True)
class Request:
    """One log-likelihood request in ids.

    Attributes:
        inputs: what the model reads: context and continuation without its last token, cut on
            the left to the model's context length.
        targets: the continuation's ids; the last ``len(targets)`` inputs predict them.
    """

    inputs: tuple[int, ...]
    targets: tuple[int, ...]


class Encoder:
    """Text pairs to ids for one tokenizer.

    Args:
        tokenizer: a Hugging Face tokenizer. context: most tokens that the model can read.
    """

    def __init__(self, tokenizer: Any, context: int) -> None:
        self.tokenizer = tokenizer
        self.context = context
        first = tokenizer.bos_token_id
        self.first_id: int | None = first if first is not None else tokenizer.eos_token_id
        self._first_text = "" if self.first_id is None else tokenizer.decode(self.first_id)
        self._contexts: dict[str, list[int]] = {}

    def encode_text(self, text: str) -> list[int]:
        """Ids with the tokenizer's special tokens, but never a second BOS."""
        if self._first_text and text.startswith(self._first_text):
            return list(self.tokenizer.encode(text, add_special_tokens=False))
        return list(self.tokenizer.encode(text))

    def encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """Ids of the context and of the continuation after it."""
        if not context:
            ids = list(self.tokenizer.encode(continuation, add_special_tokens=False))
            if ids and ids[0] == self.first_id:
                return ids[:1], ids[1:]
            return [] if self.first_id is None else [self.first_id], ids
        stripped = context.rstrip()
        continuation = context[len(stripped) :] + continuation
        head = self._contexts.get(stripped)
        if head is None:
            head = self._contexts[stripped] = self.encode_text(stripped)
        return head, self.encode_text(stripped + continuation)[len(head) :]

    def make_request(self, choice: Choice) -> Request:
        """The ids to run and the ids to score.

        Raises:
            SuiteError: nothing is left to score, or the continuation alone is too long.
        """
        head, tail = self.encode_pair(choice.context, choice.continuation)
        if not head or not tail:
            raise SuiteError(
                f"no tokens to score in the continuation {choice.continuation!r}",
                next_step="every choice needs a text of its own",
            )
        if len(tail) > self.context:
            raise SuiteError(
                f"a continuation of {len(tail)} tokens is longer than the model's context "
                f"({self.context})"
            )
        return Request(tuple((head + tail)[-(self.context + 1) :][:-1]), tuple(tail))
