"""One sequence being generated, and how its next token is picked.

A pick depends on the sequence's logits and on a number drawn from its seed, never on
who else is in the batch.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from residency.infer.draft_tokens import Draft
from residency.interfaces import Generation, Prompt
from residency.nouns.response import FinishReason, Sampling

if TYPE_CHECKING:
    from torch import Tensor

    from residency.infer.logits_rules import LogitsRules

AnswerRule = Callable[[Sequence[int], "Tensor"], "Tensor"]
"""(tokens of the answer so far, scores [vocabulary]) → scores [vocabulary]."""


def describe_foreign_token(ids: Sequence[int], vocabulary: int) -> str:
    """What is wrong with a prompt that holds an id beyond the embeddings; empty: nothing."""
    if not ids or max(ids) < vocabulary:
        return ""
    return (
        f"the prompt holds the token {max(ids)}, for which the model has no weights "
        f"(its embeddings have {vocabulary} rows)"
    )


@dataclass
class Run:
    """A prompt and what has been generated for it so far.

    Attributes:
        index: its position in the caller's list. ids: the prompt's token ids.
        budget: most tokens it may generate. draft: guesses what comes next.
        held: tokens of it that lie in its cache slot (the shared prefix is not counted).
        rules: what the model's settings do to its scores; None where they do nothing.
        recalled: tokens whose states of the frozen layers lie there, while it follows them.
        own_rules: what the request wants done to the scores, after the model's rules.
        wanted_tops: how many of the likeliest tokens to note beside each pick; None: nothing is noted.
        logprobs, tops: of each token of the answer, where ``wanted_tops`` asks for it.
    """

    index: int
    ids: list[int]
    budget: int
    sampling: Sampling
    draft: Draft = field(default_factory=Draft)
    key: str = ""
    rules: LogitsRules | None = None
    own_rules: tuple[AnswerRule, ...] = ()
    wanted_tops: int | None = None
    logprobs: list[float] = field(default_factory=list)
    tops: list[list[tuple[int, float]]] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    finish: FinishReason | None = None
    text: str = ""
    held: int = 0
    recalled: tuple[int, ...] = ()
    seconds: float = 0.0
    _random: random.Random | None = None
    _uniforms: list[float] = field(default_factory=list)

    def get_uniform(self, step: int) -> float:
        """The number in [0, 1) that decides this sequence's token ``step``."""
        if self._random is None:
            self._random = random.Random(f"{self.sampling.seed}:{self.key}")
        while len(self._uniforms) <= step:
            self._uniforms.append(self._random.random())
        return self._uniforms[step]

    def guess_tokens(self, most: int | None = None) -> tuple[int, ...]:
        """What its draft holds next, one token short of the budget (which the last pick fills)."""
        room = self.budget - len(self.tokens) - 1
        return self.draft.guess_tokens(room if most is None else min(most, room))

    def to_generation(self) -> Generation:
        """The finished answer."""
        return Generation(
            text=self.text,
            token_ids=tuple(self.tokens),
            finish=self.finish or "length",
            logprob=self.logprob,
            prompt_tokens=len(self.ids),
            seconds=self.seconds,
        )


def name_random_stream(prompt: Prompt) -> str:
    """What fixes a prompt's random stream, besides the seed of the settings."""
    text = prompt.key or "\x1e".join(f"{m.role}\x1f{m.text}" for m in prompt.messages)
    return f"{text}:{prompt.sample}"


class Ending:
    """Decides when a sequence is over: an end token, a stop string, or its budget.

    Args:
        end_ids: tokens that end an answer. stop: strings that end it; the text is cut before
            the first of them. decode: ids → text, special tokens left out.
        more_end_ids: tokens that end an answer too, and of which ``decode`` does not know that
            they do (those of the model's settings).
    """

    def __init__(
        self,
        end_ids: Sequence[int],
        stop: Sequence[str],
        decode: Callable[[Sequence[int]], str],
        more_end_ids: Sequence[int] = (),
    ) -> None:
        self._more_end_ids = frozenset(more_end_ids) - frozenset(end_ids)
        self.end_ids = frozenset(end_ids) | self._more_end_ids
        self.stop = tuple(s for s in stop if s)
        self.decode = decode
        # A token is at least one byte, so a stop string lies within its last bytes' tokens.
        self._window = max((len(s.encode()) for s in self.stop), default=0) + 4

    def accept_token(self, run: Run, token: int, logprob: float) -> bool:
        """Append a token; whether the sequence is over now."""
        run.tokens.append(token)
        run.logprob += logprob
        if token in self.end_ids:
            text_ids = run.tokens[:-1] if token in self._more_end_ids else run.tokens
            run.finish, run.text = "stop", self.decode(text_ids)
        elif self.stop and self._has_stop(self.decode(run.tokens[-self._window :])):
            text = self.decode(run.tokens)
            cut = [at for s in self.stop if (at := text.find(s)) >= 0]
            if cut:
                run.finish, run.text = "stop", text[: min(cut)]
        if run.finish is None and len(run.tokens) >= run.budget:
            run.finish, run.text = "length", self.decode(run.tokens)
        return run.finish is not None

    def accept_picks(
        self, run: Run, guess: Sequence[int], picks: Sequence[tuple[int, float]]
    ) -> int:
        """Append the picks up to the first that is no guess; how many guesses were right.

        Args:
            picks: token and log-probability after each of the guessed tokens, one more than those.
        """
        right = 0
        while not self.accept_token(run, *picks[right]):
            if right == len(guess) or picks[right][0] != guess[right]:
                break
            right += 1
        run.draft.record_guess(run.tokens, len(guess), right)
        return right

    def _has_stop(self, text: str) -> bool:
        return any(s in text for s in self.stop)
