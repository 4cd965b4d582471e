"""The text of a control token inside a message stays text.

A customer who writes ``<|im_end|>`` must not end the turn, neither in training nor at inference.
Before the template is rendered, a mark is put into every such text in the messages; the mark is a
separate token while the text is turned into ids, so that the tokenizer sees two halves that are
no control token, and is taken out of the ids afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from residency.errors import TemplateError

MARK = "\U0010fffd"
"""The last private-use character of Unicode."""

_THINKING = re.compile(r"</?(think|thinking)>")
"""Marks that messages hold on purpose: the answer of a reasoning model as one text."""


class SpecialText:
    """Finds the texts of control tokens in messages.

    Args:
        tokens: texts of the tokenizer's control tokens.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        texts = sorted({t for t in tokens if len(t) > 1 and not _THINKING.fullmatch(t)}, key=len)
        self._pattern = re.compile("|".join(map(re.escape, reversed(texts))) if texts else "(?!)")
        self._firsts = {token[0] for token in texts}

    def protect_text(self, text: str) -> str:
        """The text with a mark inside each control token's text.

        Raises:
            TemplateError: the text holds the mark itself.
        """
        if MARK in text:
            raise TemplateError(
                "the message holds the character U+10FFFD, which is used to keep control tokens apart",
                next_step="remove that character from the row",
            )
        if not any(first in text for first in self._firsts):
            return text
        return self._pattern.sub(lambda match: match[0][0] + MARK + match[0][1:], text)

    def protect_value(self, value: Any) -> Any:
        """The same for every string of a JSON value (arguments of a call, definitions of tools)."""
        if isinstance(value, str):
            return self.protect_text(value)
        if isinstance(value, Mapping):
            return {self.protect_value(key): self.protect_value(v) for key, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.protect_value(v) for v in value]
        return value


def remove_marks(text: str) -> str:
    """The text as the messages have it."""
    return text.replace(MARK, "")
