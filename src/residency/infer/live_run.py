"""One request's choice in a batch that never ends, and how the two kinds of batch are driven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from residency.infer.sequences import Ending, Run


@dataclass(eq=False)
class LiveRun(Run):
    """A prompt in a live batch.

    Attributes:
        model: which of the loaded models answers. ending: when this one is over.
        wants_prompt: note the log-probabilities of the prompt's tokens too.
        prompt_logprobs, prompt_tops: one for each prompt token but the first.
        reused: leading prompt tokens that were not computed again.
        started: the batch has taken it up. cancelled: nobody waits for it any more.
    """

    model: str = ""
    ending: Ending = field(default_factory=lambda: Ending((), (), lambda ids: ""))
    wants_prompt: bool = False
    prompt_logprobs: list[float] = field(default_factory=list)
    prompt_tops: list[list[tuple[int, float]]] = field(default_factory=list)
    reused: int = 0
    started: bool = False
    cancelled: bool = False

    # Two runs are the same only where they are one: prompts may be equal.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @property
    def longest(self) -> int:
        """Tokens that it may come to."""
        return len(self.ids) + self.budget


class OwnEndings(Ending):
    """Each run ends by the rules of that run."""

    def __init__(self) -> None:
        super().__init__((), (), lambda ids: "")

    def accept_token(self, run: Run, token: int, logprob: float) -> bool:
        """Append a token; whether the run is over now."""
        assert isinstance(run, LiveRun)
        return run.ending.accept_token(run, token, logprob)


class LiveBatch(Protocol):
    """Takes runs while others are being answered. Used from one thread."""

    @property
    def waiting_count(self) -> int:
        """Runs that have not begun."""
        ...

    @property
    def active_count(self) -> int:
        """Runs that are being answered."""
        ...

    def add(self, runs: Sequence[LiveRun]) -> None:
        """Put runs into the queue."""
        ...

    def step(self) -> list[LiveRun]:
        """One forward: the runs that were given a token or ended in it. Nothing to do: empty."""
        ...

    def clear(self) -> list[LiveRun]:
        """Forget every run, after a step that failed; those that were in hand."""
        ...
