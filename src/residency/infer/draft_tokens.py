"""An earlier answer, or the prompt, as a guess of the next tokens, taken up again after a difference.

Speculative decoding (arXiv 2211.17192) whose guesses come from the stored answer of another
model to the same prompt. A guessed token counts only when the model itself picks it, so
the result never depends on the draft. After a difference the guess goes on where the draft
holds the last two tokens again, as prompt lookup decoding does; a ``LookupDraft`` knows nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

BEGIN, AGAIN, MOST = 8, 2, 32
"""Tokens guessed at once: at first, after a wrong guess, and at most; each right guess doubles
them. On stored answers of three rounds of the tickets example these need the least time."""
LONGEST_PASS = 5
"""Misses in a row after which no more chances are passed over than before: 16."""


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


class LookupDraft(Draft):
    """What followed the last two tokens where they stood before, in the prompt or in the answer.

    Answers that repeat names, numbers and lines of their prompt are written several tokens a forward
    (prompt lookup decoding; arXiv 2304.04487). A guess takes a forward longer: after one of which
    nothing was right the next chance is passed over, after two the next two, then four and more.
    """

    def __init__(self, prompt: Sequence[int]) -> None:
        super().__init__()
        self._sequence = list(prompt)
        self._answered = 0
        self._width = AGAIN
        self._misses = self._passes = 0
        self._latest: dict[tuple[int, int], int] = {}
        for position in range(2, len(self._sequence)):
            self._note_pair(position)

    def guess_tokens(self, most: int) -> tuple[int, ...]:
        """The next tokens, at most ``most``; none where the pair is new."""
        if not self._answered or most < 1 or len(self._sequence) < 2:
            return ()
        at = self._latest.get((self._sequence[-2], self._sequence[-1]))
        if at is None:
            return ()
        if self._passes:
            self._passes -= 1
            return ()
        return tuple(self._sequence[at : at + min(self._width, most)])

    def record_guess(self, answer: Sequence[int], guessed: int, right: int) -> None:
        """As in ``Draft``; what was written is known from now on."""
        if guessed:
            self._width = min(MOST, 2 * self._width) if right == guessed else AGAIN
            self._misses = 0 if right else min(self._misses + 1, LONGEST_PASS)
            self._passes = 2**self._misses // 2
        for token in answer[self._answered :]:
            if len(self._sequence) >= 2:
                self._note_pair(len(self._sequence))
            self._sequence.append(token)
        self._answered = len(answer)

    def _note_pair(self, position: int) -> None:
        """Where the two tokens before ``position`` stood last."""
        self._latest[self._sequence[position - 2], self._sequence[position - 1]] = position
