"""What of an answer may be shown while it is still being written."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from residency.nouns.example import Message
from residency.nouns.moderation_decision import ModerationDecision
from residency.serve.hooks import InputModerator, OutputModerator

log = logging.getLogger("residency.serve")
UNJUDGED = "it could not be judged"


class AnswerText:
    """One answer's text as it grows: nothing leaves that may still be taken back.

    Held back are a character whose bytes are not all there, what may begin a stop string, and
    thinking, which is no part of the answer. Then moderators see it, and say what may leave; where none
    of them may change a text, they see it once, when it is complete.

    Args:
        decode: ids → text. stops: strings that end the answer. is_thinking: whether ids end within
            a thinking part. moderators: all must release a text, in this order.
    """

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        stops: Sequence[str],
        is_thinking: Callable[[Sequence[int]], bool],
        moderators: Sequence[OutputModerator] = (),
    ) -> None:  # fmt: skip
        self._decode, self._stops, self._is_thinking = decode, tuple(stops), is_thinking
        self._moderators = moderators
        self._stride = min((m.stride for m in moderators), default=1)
        self._may_change = any(m.may_change for m in moderators)
        self._judged = -1
        self.sent = ""
        self.refused = False
        self.decisions: list[ModerationDecision] = []

    async def release(self, tokens: Sequence[int], finish: str | None, text: str) -> str:
        """The next piece that may leave, given all tokens so far; with ``finish`` all of ``text``."""
        if self.refused:
            return ""
        final = finish is not None
        sure = text if final else self._find_sure(tokens)
        if self._moderators and (final or self._may_change):
            if not final and len(sure) - max(self._judged, 0) < self._stride:
                return ""
            sure = await asyncio.to_thread(self._judge, sure, final)
        if not sure.startswith(self.sent):
            return ""  # a format took back what looked like the answer; what left stays as it is
        piece, self.sent = sure[len(self.sent) :], sure
        return piece

    def _find_sure(self, tokens: Sequence[int]) -> str:
        text = self._decode(tokens)
        if not self.sent and self._is_thinking(tokens):
            return ""
        end = len(text.rstrip("\ufffd"))
        for stop in self._stops:
            for length in range(min(len(stop) - 1, end), 0, -1):
                if text.endswith(stop[:length], 0, end):
                    end -= length
                    break
        return text[:end]

    def _judge(self, text: str, final: bool) -> str:
        """What all moderators release of a text."""
        self._judged = len(text)
        for moderator in self._moderators:
            began = time.perf_counter()
            try:
                decision = moderator.moderate_output(text, final)
            except Exception as error:
                log.error("a moderator failed: %s", type(error).__name__)
                seconds = time.perf_counter() - began
                decision = ModerationDecision(
                    "refuse", "failed", UNJUDGED, by="output: none", seconds=seconds
                )
            if final or decision.action != "allow":
                self._note(decision)
            if decision.action == "refuse":
                self.refused = True
                return decision.text if decision.text.startswith(self.sent) else self.sent
            text = decision.text
        return text

    def _note(self, decision: ModerationDecision) -> None:
        """A decision that says the same again (the text grew) is noted once."""
        same = (decision.action, decision.kind, decision.by)
        known = [(d.action, d.kind, d.by) for d in self.decisions]
        if same not in known:
            self.decisions.append(decision)


def judge_input(
    moderators: Sequence[InputModerator], messages: Sequence[Message]
) -> tuple[tuple[Message, ...], list[ModerationDecision]]:
    """The messages that the model gets, and what was decided; a refusal is the last decision."""
    current_messages, decisions = tuple(messages), []
    for moderator in moderators:
        try:
            decision = moderator.moderate_input(current_messages)
        except Exception as error:
            log.error("a moderator failed: %s", type(error).__name__)
            decision = ModerationDecision("refuse", "failed", UNJUDGED, by="input: none")
        decisions.append(decision)
        if decision.action == "refuse":
            break
        if decision.messages is not None:
            current_messages = decision.messages
    return current_messages, decisions
