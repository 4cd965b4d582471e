"""Blind review: what a person is shown, and how an answer to it becomes a vote.

A ``Showing`` holds two texts and no names: sides are drawn at random for each rater, the names
of the models are masked inside the texts, and the key that leads back to them is a hash. The
same plan serves the terminal and the browser; only this module knows who stood where.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from residency.evaluate.arena.votes import IDENTICAL, Outcome, Vote
from residency.nouns.example import Example
from residency.nouns.response import Response

Answer = Literal["left", "right", "tie", "skip"]
MASK = "[model]"


@dataclass(frozen=True)
class Showing:
    """What one rater sees once. Nothing in it names a model.

    ``key`` identifies it; ``number`` of ``total`` is its position in the session.
    """

    key: str
    prompt: str
    left: str
    right: str
    number: int
    total: int


@dataclass(frozen=True)
class _Pair:
    example: Example
    a: Response
    b: Response
    repeat: int
    swapped: bool


class Review:
    """One rater's session over pairs of stored responses.

    Pairs whose texts are equal (white space aside) are not shown: ``automatic`` votes them a tie.
    Showings that have a vote already are left out, so a session goes on where it was cut.

    Args:
        pairs: example and the two responses; the models in arena order.
        rater: who judges.
        names: names to be masked in the texts (models and labels).
        done: votes given so far, of anybody.
        repeats: share of the pairs that are shown a second time, later, to measure
            self-consistency.
        seed: of order and sides.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[Example, Response, Response]],
        rater: str,
        *,
        names: Sequence[str] = (),
        done: Sequence[Vote] = (),
        repeats: float = 0.1,
        seed: int = 0,
    ) -> None:
        self.rater = rater
        self._names = _mask_pattern(names)
        same = [p for p in pairs if p[1].text.split() == p[2].text.split()]
        differing = [p for p in pairs if p[1].text.split() != p[2].text.split()]
        voted = {vote.key for vote in done}
        self.automatic = [
            vote for vote in (_tie_identical(*pair) for pair in same) if vote.key not in voted
        ]
        rng = random.Random(f"{seed}:{rater}")
        order = list(differing)
        rng.shuffle(order)
        again = order[: round(repeats * len(order))]
        rng.shuffle(again)
        plan = [(pair, 0) for pair in order] + [(pair, 1) for pair in again]
        self._shown: dict[str, _Pair] = {}
        self._queue: list[Showing] = []
        total = len(plan)
        for number, ((example, a, b), repeat) in enumerate(plan, 1):
            key = _make_vote(example, a, b, "skip", rater, repeat).key
            if key in voted:
                continue
            # The side depends on rater and showing alone, so going on later shows the same.
            side = hashlib.sha256(f"{seed}:{key}".encode()).digest()[0] % 2 == 1
            self._shown[key] = _Pair(example, a, b, repeat, side)
            first, second = (b, a) if side else (a, b)
            self._queue.append(
                Showing(
                    key,
                    example.prompt_text,
                    self._masked(first.text),
                    self._masked(second.text),
                    number,
                    total,
                )
            )

    def __iter__(self) -> Iterator[Showing]:
        return iter(list(self._queue))

    def __len__(self) -> int:
        return len(self._queue)

    def vote(self, key: str, answer: Answer, *, note: str = "", seconds: float = 0.0) -> Vote:
        """The vote that an answer to a showing means.

        Raises:
            KeyError: no such showing in this session.
        """
        pair = self._shown[key]
        outcomes: dict[Answer, Outcome] = {"tie": "tie", "skip": "skip"}
        left: Outcome = "b" if pair.swapped else "a"
        right: Outcome = "a" if pair.swapped else "b"
        outcome = outcomes.get(answer, left if answer == "left" else right)
        return _make_vote(
            pair.example,
            pair.a,
            pair.b,
            outcome,
            self.rater,
            pair.repeat,
            left="b" if pair.swapped else "a",
            note=note,
            seconds=seconds,
        )

    def _masked(self, text: str) -> str:
        return self._names.sub(MASK, text) if self._names else text


def _make_vote(
    example: Example,
    a: Response,
    b: Response,
    outcome: Outcome,
    rater: str,
    repeat: int,
    *,
    left: Literal["a", "b"] = "a",
    note: str = "",
    seconds: float = 0.0,
) -> Vote:
    return Vote(
        prompt=example.id,
        a=a.model,
        b=b.model,
        outcome=outcome,
        rater=rater,
        left=left,
        repeat=repeat,
        response_a=a.id,
        response_b=b.id,
        note=note,
        seconds=seconds,
    )


def _tie_identical(example: Example, a: Response, b: Response) -> Vote:
    return _make_vote(example, a, b, "tie", IDENTICAL, 0, note="the two texts are equal")


def _mask_pattern(names: Sequence[str]) -> re.Pattern[str] | None:
    known = sorted({name for name in names if len(name) > 2}, key=len, reverse=True)
    if not known:
        return None
    return re.compile("|".join(rf"(?<!\w){re.escape(n)}(?!\w)" for n in known), re.IGNORECASE)


def pair_up(
    examples: Mapping[str, Example], a: Sequence[Response], b: Sequence[Response]
) -> list[tuple[Example, Response, Response]]:
    """Responses of two models to the same example and sample; errors are left out."""
    theirs = {(r.example, r.sample): r for r in b if r.finish != "error"}
    return [
        (examples[r.example], r, theirs[r.example, r.sample])
        for r in a
        if r.finish != "error" and r.example in examples and (r.example, r.sample) in theirs
    ]
