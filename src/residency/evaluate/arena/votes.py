"""Votes: which of two answers to one prompt is better, said by a person, a rule or a judge."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from residency.nouns.content_id import content_id
from residency.nouns.example import Example
from residency.stats.intervals import mean_interval

IDENTICAL = "identical"
"""The rater of answers whose texts are equal: a tie that nobody had to see."""
Outcome = Literal["a", "b", "tie", "skip"]


@dataclass(frozen=True)
class Vote:
    """One comparison of two models' answers.

    Attributes:
        prompt: example id. a, b: model ids, ``a`` < ``b`` in the order of the arena, never of the screen.
        outcome: who is better; ``skip`` says nothing.
        rater: who judged: a person's name, ``rules``, or ``judge:NAME``.
        left: which of the two stood left (or first).
        repeat: 0 at the first showing; 1, 2, … when the same rater saw it again.
        response_a, response_b: ids of the two responses. note: the reason given.
        seconds: time that the rater took.
    """

    prompt: str
    a: str
    b: str
    outcome: Outcome
    rater: str
    left: Literal["a", "b"] = "a"
    repeat: int = 0
    response_a: str = ""
    response_b: str = ""
    note: str = ""
    seconds: float = 0.0

    @cached_property
    def key(self) -> str:
        """Hash of what was shown to whom: one vote answers one showing."""
        value = [self.prompt, self.a, self.b, self.response_a, self.response_b]
        return content_id("show", [*value, self.rater, self.repeat])

    @property
    def score(self) -> float:
        """1 when ``a`` won, 0 when ``b`` won, ½ for a tie.

        Raises:
            ValueError: the vote was skipped.
        """
        scores = {"a": 1.0, "b": 0.0, "tie": 0.5}
        if self.outcome not in scores:
            raise ValueError("a skipped comparison has no score")
        return scores[self.outcome]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; the inverse of ``from_dict``."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Vote:
        """The inverse of ``to_dict``; other keys are ignored."""
        names = {f.name for f in dataclasses.fields(Vote)}
        return Vote(**{key: value for key, value in raw.items() if key in names})


def select_counted_votes(votes: Sequence[Vote]) -> list[Vote]:
    """The votes that say something about the models: no skips, no repeats, one for each showing."""
    first = {vote.key: vote for vote in reversed(votes)}
    return [v for v in first.values() if v.outcome != "skip" and v.repeat == 0][::-1]


@dataclass(frozen=True)
class WinRate:
    """How often one model's answer is preferred to another's; a tie counts one half.

    ``rate`` and its bootstrap interval over prompts are shares in [0, 1]; ``standard_error``
    is s/√n over the votes, as AlpacaEval reports it.
    """

    rate: float
    low: float
    high: float
    standard_error: float
    wins: int
    losses: int
    ties: int

    @property
    def n(self) -> int:
        """Votes counted."""
        return self.wins + self.losses + self.ties


def win_rate(votes: Sequence[Vote], model: str, versus: str, *, seed: int = 0) -> WinRate | None:
    """Win rate of ``model`` against ``versus``, None when they never met."""
    scores, prompts = [], []
    for vote in select_counted_votes(votes):
        if {vote.a, vote.b} == {model, versus}:
            scores.append(vote.score if vote.a == model else 1 - vote.score)
            prompts.append(vote.prompt)
    if not scores:
        return None
    tally = Counter(scores)
    low, high = mean_interval(scores, prompts)
    spread = float(np.std(scores, ddof=1)) if len(scores) > 1 else math.nan
    return WinRate(
        rate=float(np.mean(scores)),
        low=max(low, 0.0),
        high=min(high, 1.0),
        standard_error=spread / math.sqrt(len(scores)),
        wins=tally[1.0],
        losses=tally[0.0],
        ties=tally[0.5],
    )


def self_consistency(votes: Sequence[Vote]) -> tuple[int, int]:
    """Repeated showings that got the rater's first outcome again, and all repeated showings."""
    first = {_comparison_key(v): v.outcome for v in votes if v.repeat == 0}
    again = [v for v in votes if v.repeat > 0 and _comparison_key(v) in first]
    again = [v for v in again if v.outcome != "skip" and first[_comparison_key(v)] != "skip"]
    return sum(v.outcome == first[_comparison_key(v)] for v in again), len(again)


def rater_agreement(votes: Sequence[Vote]) -> float | None:
    """Krippendorff's α (nominal) between raters over (prompt, pair); None when it is undefined.

    1 is full agreement, 0 what chance would give. Skips are missing values. The computation is
    the ``krippendorff`` package's.
    """
    import krippendorff

    values = {"a": 0.0, "tie": 1.0, "b": 2.0}
    raters = sorted({vote.rater for vote in votes})
    units: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for vote in select_counted_votes(votes):
        units[_comparison_key(vote)[:-1]][vote.rater] = values[vote.outcome]
    table = np.array([[units[u].get(r, np.nan) for u in units] for r in raters])
    rated = table[:, (~np.isnan(table)).sum(axis=0) >= 2] if table.size else table
    if rated.size == 0 or len(np.unique(rated[~np.isnan(rated)])) < 2:
        return None
    return float(krippendorff.alpha(reliability_data=rated, level_of_measurement="nominal"))


def preference_pairs(
    votes: Sequence[Vote],
    examples: Mapping[str, Example],
    texts: Mapping[str, str],
    *,
    incomplete: AbstractSet[str] = frozenset(),
) -> list[Example]:
    """Votes as preference pairs: the preferred answer is the reference, the other ``rejected``.

    Several votes on the same two answers are decided by majority; ties and identical texts
    give no pair. ``texts`` maps response ids to texts. An answer that is empty or ``incomplete``
    (cut by the token limit, or broken off) is never the preferred one, whoever voted for it.
    """
    tally: dict[tuple[str, str, str], float] = defaultdict(float)
    raters: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for vote in select_counted_votes(votes):
        key = (vote.prompt, vote.response_a, vote.response_b)
        tally[key] += vote.score - 0.5
        raters[key].append(vote.rater)
    pairs = []
    for (prompt, a, b), balance in tally.items():
        example = examples.get(prompt)
        if example is None or a not in texts or b not in texts or balance == 0:
            continue
        winner, loser = (a, b) if balance > 0 else (b, a)
        better, worse = texts[winner], texts[loser]
        if better == worse or not better.strip() or winner in incomplete:
            continue
        answer = dataclasses.replace(example.messages[-1], content=better)
        if example.reference is None:
            answer = type(answer)("assistant", better)
        names = ",".join(sorted(set(raters[prompt, a, b])))
        pairs.append(
            dataclasses.replace(
                example,
                messages=(*example.prompt, answer),
                rejected=worse,
                source=f"arena:{prompt}",
                why=f"votes of {names}",
            )
        )
    return pairs


def preference_row(example: Example) -> dict[str, Any]:
    """A preference pair as one JSONL row: ``prompt`` (messages), ``chosen``, ``rejected``."""
    return {
        "prompt": [m.to_dict() for m in example.prompt],
        "chosen": [{"role": "assistant", "content": example.reference}],
        "rejected": [{"role": "assistant", "content": example.rejected}],
        "why": example.why,
        "group": example.group or example.id,
    }


def _comparison_key(vote: Vote) -> tuple[str, ...]:
    return vote.prompt, vote.a, vote.b, vote.response_a, vote.response_b, vote.rater
