"""One row of the user's task, and the messages it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from residency.nouns.content_id import content_id
from residency.nouns.short_view import ShortView

Role = Literal["system", "user", "assistant", "tool"]
Split = Literal["train", "dev", "test", "pool", "replay"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test", "pool", "replay")
DealtSplit = Literal["train", "dev", "test", "pool"]
DEALT_SPLITS: tuple[DealtSplit, ...] = ("train", "dev", "test", "pool")
"""Splits that rows of train may be dealt out to; ``replay`` holds general rows of files of its own."""
TRAINABLE_SPLITS: tuple[Split, ...] = ("train", "pool", "replay")
"""Splits whose rows may be trained on."""


@dataclass(frozen=True)
class Message:
    """One turn. ``input`` is Alpaca's second field; chat templates see ``text``.

    ``tools`` are definitions of what the assistant may call; they stand on the first message, which
    is a system message of no content where there is none other. ``trained`` is False on an assistant
    turn that its file marks as not to be learned: it is context only.
    """

    role: Role
    content: str
    input: str = ""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    thinking: str = ""
    tools: tuple[Mapping[str, Any], ...] = ()
    trained: bool = True

    @property
    def text(self) -> str:
        """Content and input as one text, a blank line between."""
        return f"{self.content}\n\n{self.input}" if self.input else self.content

    def to_dict(self) -> dict[str, Any]:
        """Only the fields that are set; the inverse of ``from_dict``."""
        out: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.input:
            out["input"] = self.input
        if self.tool_calls:
            out["tool_calls"] = [dict(call) for call in self.tool_calls]
        if self.thinking:
            out["thinking"] = self.thinking
        if self.tools:
            out["tools"] = [dict(tool) for tool in self.tools]
        if not self.trained:
            out["trained"] = False
        return out

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Message:
        """The inverse of ``to_dict``."""
        return Message(
            role=raw["role"],
            content=raw["content"],
            input=raw.get("input", ""),
            tool_calls=tuple(raw.get("tool_calls", ())),
            thinking=raw.get("thinking", ""),
            tools=tuple(raw.get("tools", ())),
            trained=raw.get("trained", True),
        )


@dataclass(frozen=True, repr=False)
class Example(ShortView):
    """One row of the user's task.

    Attributes:
        messages: the conversation; the last assistant turn is the reference answer, if any.
            Raw text (pretraining) is a single assistant message.
        split: train, dev, test or pool.
        group: paraphrases and near-duplicates share one; groups never straddle splits.
        tags: slices that the row belongs to, e.g. ``"product=kettle"``.
        source: where it was read, e.g. ``data/train.jsonl:17``.
        why: why it is here: ``"user"``, or the issue and generator that it was made for.
        weight: its weight in the training loss.
        rejected: the worse answer of a preference pair.
    """

    messages: tuple[Message, ...]
    split: Split = "train"
    group: str = ""
    tags: tuple[str, ...] = ()
    source: str = ""
    why: str = "user"
    weight: float = 1.0
    rejected: str | None = None

    @cached_property
    def id(self) -> str:
        """Content hash of the messages (and the rejected answer), not of where they lie."""
        value: dict[str, Any] = {"messages": [m.to_dict() for m in self.messages]}
        if self.rejected is not None:
            value["rejected"] = self.rejected
        return content_id("ex", value)

    @property
    def prompt(self) -> tuple[Message, ...]:
        """Every message before the last assistant turn (all of them if there is none)."""
        if self.messages and self.messages[-1].role == "assistant":
            return self.messages[:-1]
        return self.messages

    @property
    def reference(self) -> str | None:
        """The text of the last assistant turn, or None."""
        if self.messages and self.messages[-1].role == "assistant":
            return self.messages[-1].content
        return None

    @property
    def prompt_text(self) -> str:
        """The prompt's messages as plain text, for embeddings, overlap and display."""
        return "\n".join(m.text for m in self.prompt)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; the inverse of ``from_dict``."""
        return {
            "messages": [m.to_dict() for m in self.messages],
            "split": self.split,
            "group": self.group,
            "tags": list(self.tags),
            "source": self.source,
            "why": self.why,
            "weight": self.weight,
            "rejected": self.rejected,
        }

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Example:
        """The inverse of ``to_dict``."""
        return Example(
            messages=tuple(Message.from_dict(m) for m in raw["messages"]),
            split=raw.get("split", "train"),
            group=raw.get("group", ""),
            tags=tuple(raw.get("tags", ())),
            source=raw.get("source", ""),
            why=raw.get("why", "user"),
            weight=raw.get("weight", 1.0),
            rejected=raw.get("rejected"),
        )


def by_id(examples: Iterable[Example]) -> dict[str, Example]:
    """Examples keyed by id."""
    return {example.id: example for example in examples}
