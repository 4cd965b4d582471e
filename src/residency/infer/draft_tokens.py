"""An earlier answer as a guess of the next tokens, taken up again after each difference.

Speculative decoding (arXiv 2211.17192) whose guesses come from the stored answer of another
model to the same prompt. A guessed token counts only when the model itself picks it, so
the result never depends on the draft. After a difference the guess goes on where the draft
holds the last two tokens again, as prompt lookup decoding does.
"""

from __future__ import annotations

from collections.abc import Sequence

BEGIN, AGAIN, MOST = 8, 2, 32
"""Tokens guessed at once: at first, after a wrong guess, and at most; each right guess doubles
them. On stored answers of three rounds of the tickets example these need the least time."""


class Draft:
    """What one sequence guesses next.

    Args:
        tokens: ids of the earlier answer; empty: nothing is ever guessed.
    """

    def __init__(self, tokens: Sequence[int] = ()) -> None:
        self.tokens = tuple(tokens)
        self._at: int | None = 0 if self.tokens else None
        self._width = BEGIN
        self._places: dict[tuple[int, int], list[int]] = {}
        for position in range(2, len(self.tokens)):
            self._places.setdefault(self.tokens[position - 2 : position], []).append(position)  # type: ignore[arg-type]

    def guess_tokens(self, most: int) -> tuple[int, ...]:
        """The next tokens, at most ``most``; none where the draft has nothing to say."""
        if self._at is None or most < 1:
            return ()
        return self.tokens[self._at : self._at + min(self._width, most)]

    def record_guess(self, answer: Sequence[int], guessed: int, right: int) -> None:
        """Take note of how a guess went.

        Args:
            answer: everything written so far. guessed: tokens of the last guess.
            right: how many of them were written; one more token follows those.
        """
        if not self.tokens:
            return
        if guessed:
            self._width = min(MOST, 2 * self._width) if right == guessed else AGAIN
        if self._at is not None:
            self._at += right
            if self.tokens[self._at : self._at + 1] == tuple(answer[-1:]):
                self._at += 1
                return
        expected = len(answer) if self._at is None else self._at
        places = self._places.get(tuple(answer[-2:]), ())  # type: ignore[arg-type]
        self._at = min(places, key=lambda position: abs(position - expected), default=None)
