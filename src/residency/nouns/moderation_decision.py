"""What moderation decided about one text: of a client, or of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from residency.nouns.example import Message

ModerationAction = Literal["allow", "flag", "mask", "refuse"]


@dataclass(frozen=True)
class ModerationDecision:
    """One decision.

    Attributes:
        action: ``allow`` and ``flag`` change nothing, ``mask`` changes the text, ``refuse`` ends it.
        kind: what was seen, a fixed short name (``personal data``); empty where nothing was.
        reason: words for the client; never the text itself.
        by: which moderator decided, with its version.
        text: of an output: the part that may leave now, masked where need be. It may be shorter than
            what was shown (the rest is held back until more is there), and begins with the ``text``
            of every earlier decision on the same answer.
        messages: of an input: what the model gets instead of the client's; None: as it is.
        seconds: how long the decision took.
    """

    action: ModerationAction = "allow"
    kind: str = ""
    reason: str = ""
    by: str = ""
    text: str = ""
    messages: tuple[Message, ...] | None = None
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, without any text of client or model."""
        return {
            "action": self.action,
            "kind": self.kind,
            "reason": self.reason,
            "by": self.by,
            "seconds": self.seconds,
        }
