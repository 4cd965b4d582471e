"""The only place where messages become text, ids and loss mask.

Training, evaluation, chat and server all come through here, so what is trained is what is
asked. The format's hash travels with every dataset version and checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from residency.types import Message


@dataclass(frozen=True)
class Encoded:
    """A whole conversation, ready to train on.

    Attributes:
        ids: token ids, exactly one BOS where the model uses one.
        mask: True where the token is trained (the assistant's tokens and its end token).
    """

    ids: list[int]
    mask: list[bool]


class ChatFormat:
    """The model's own chat template, or the instruction template for a base model without one."""

    hash: str
    """Hash of the template text, the special tokens and the tokenizer."""
    tokenizer_hash: str
    end_ids: tuple[int, ...]
    """Token ids that end an assistant's turn; generation stops at any of them."""
    stop: tuple[str, ...]
    """Strings at which generation stops (the instruction template's section marks)."""

    def __init__(self, tokenizer: Any, template: str | None = None) -> None:
        raise NotImplementedError

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Ids of a prompt, up to where the assistant begins to write."""
        raise NotImplementedError

    def encode(self, messages: Sequence[Message]) -> Encoded:
        """Ids and loss mask of a conversation whose assistant turns are trained."""
        raise NotImplementedError

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids, special tokens and the end token left out."""
        raise NotImplementedError
