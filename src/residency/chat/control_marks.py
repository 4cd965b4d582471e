"""Thinking and answer apart, where control tokens stand between them.

Models of channels (gpt-oss, Gemma 4) and some of marks (Magistral, Command A) separate thinking
from the answer by control tokens. A text decoded without control tokens has lost the border
(``analysisSo.assistantfinalYes.``), so what such a model wrote is divided with them in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from residency.text.reasoning import MARKS


class ControlMarks:
    """The control tokens that stand between thinking and answer.

    Args:
        control: texts of the tokenizer's control tokens.
        before: what the template itself writes between prompt and answer.
    """

    def __init__(self, control: Iterable[str], before: str) -> None:
        texts = sorted({text for text in control if text}, key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, texts)) or r"(?!)")
        self._before = before.strip() if self._control.search(before) else ""
        self._pairs = tuple(
            pair for pair in MARKS if any(self._control.search(mark) for mark in pair)
        )

    @property
    def divides_answers(self) -> bool:
        """Whether this tokenizer or template has any such mark."""
        return bool(self._before or self._pairs)

    def divide_text(self, raw: str) -> tuple[str, str] | None:
        """Thinking and answer of a text with its control tokens; None where no mark stands in it.

        A text that breaks off in its thinking stays as it is, marks and all: who grades it sees by
        them that it never came to an answer.
        """
        begun = raw.strip()
        if begun and self._before.startswith(begun):
            return "", ""  # it has not come to its answer yet
        if self._before and self._before in raw:
            thinking, _, answer = raw.rpartition(self._before)
            return self._read_thinking(thinking), self._remove_control(answer)
        for opening, closing in self._pairs:
            if closing in raw:
                thinking, _, answer = raw.rpartition(closing)
                return self._read_thinking(thinking), self._remove_control(answer).lstrip("\n")
            if opening in raw:
                return "", raw
        return None

    def _read_thinking(self, text: str) -> str:
        """The last thinking in what stands before an answer, without what separates turns."""
        for opening, _ in self._pairs:
            if opening in text:
                text = text.rpartition(opening)[2]
                break
        else:
            return self._remove_control(text).strip()
        return self._control.split(text, maxsplit=1)[0].strip("\n")

    def _remove_control(self, text: str) -> str:
        return self._control.sub("", text)
