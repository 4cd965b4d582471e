"""OpenAI's harmony format (gpt-oss) → messages: written out as text, and as messages with channels.

Reasoning stands in messages of its own on the channel ``analysis`` and becomes the thinking of the
answer that follows; calls of tools stand on ``commentary`` with a recipient.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from residency.nouns.example import Message

_MESSAGE = re.compile(
    r"<\|start\|>(?P<head>.*?)<\|message\|>(?P<words>.*?)(?:<\|end\|>|<\|return\|>|<\|call\|>|(?=<\|start\|>)|\Z)\s*",
    re.DOTALL,
)
_OPENED = re.compile(r"<\|start\|>assistant(?:<\|channel\|>\w*)?\s*")
"""The beginning of an answer, as prompts end."""
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)")
_RECIPIENT = re.compile(r"\bto=([\w.-]+)")
CHANNEL_KEYS = ("channel", "recipient", "content_type")
_REASONING = "analysis"


def read_harmony_text(text: str) -> tuple[Message, ...]:
    """The turns of a text in the format; none where it is not, or holds anything beside messages. An
    answer that is only opened is left out.

    Messages of ``system`` and ``developer`` become one system message.
    """
    messages: list[Message] = []
    thoughts: list[str] = []
    position = 0
    while position < len(text):
        match = _MESSAGE.match(text, position)
        if match is None:
            if _OPENED.fullmatch(text, position):
                break
            return ()
        position = match.end()
        head, words = match["head"], match["words"].strip()
        who = re.split(r"[\s<]", head.strip(), maxsplit=1)[0]
        channel, recipient = _CHANNEL.search(head), _RECIPIENT.search(head)
        if who in ("system", "developer") and not messages:
            messages.append(Message("system", words))
        elif who == "developer" and len(messages) == 1 and messages[0].role == "system":
            messages[0] = Message("system", f"{messages[0].content}\n\n{words}")
        elif who == "user":
            messages.append(Message("user", words))
        elif who == "assistant" and recipient is None and channel and channel[1] == _REASONING:
            thoughts.append(words)
        elif who == "assistant":
            thinking, thoughts = "\n".join(thoughts), []
            if recipient is None:
                messages.append(Message("assistant", words, thinking=thinking))
            else:
                call = _write_call(recipient[1], words)
                messages.append(Message("assistant", "", thinking=thinking, tool_calls=(call,)))
        elif recipient is not None:  # what a tool answers the assistant
            messages.append(Message("tool", words))
        else:
            return ()
    return tuple(messages)


def _write_call(recipient: str, words: str) -> dict[str, Any]:
    """A call of a tool in OpenAI's form; its arguments as an object where they are JSON."""
    try:
        arguments = json.loads(words)
    except (ValueError, RecursionError):
        arguments = words
    name = recipient.removeprefix("functions.")
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def join_channels(turns: Sequence[Any]) -> list[Any]:
    """Messages with a ``channel``: reasoning becomes the thinking of the answer after it, and what is
    said to a tool a call. Messages without channels come back as they are.

    Reasoning after which no answer comes stays a message without text.
    """
    joined: list[Any] = []
    thoughts: list[str] = []
    for turn in turns:
        if (
            not isinstance(turn, Mapping)
            or turn.get("role") != "assistant"
            or "channel" not in turn
        ):
            joined.append(turn)
            continue
        words = _read_words(turn.get("content"))
        if words is not None and turn["channel"] == _REASONING and not turn.get("recipient"):
            thoughts.append(words)
            continue
        answer: dict[str, Any] = {k: v for k, v in turn.items() if k not in CHANNEL_KEYS}
        recipient = turn.get("recipient")
        if isinstance(recipient, str) and words is not None and recipient not in ("all", "user"):
            answer |= {"content": "", "tool_calls": [_write_call(recipient, words)]}
        if thoughts:
            answer["thinking"] = "\n".join(thoughts)
            thoughts = []
        joined.append(answer)
    if thoughts:
        joined.append({"role": "assistant", "content": "", "thinking": "\n".join(thoughts)})
    return joined


def _read_words(content: Any) -> str | None:
    """A content as text, where it is one or a list of parts that are."""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(
        isinstance(part, Mapping) and isinstance(part.get("text"), str) for part in content
    ):
        return "".join(part["text"] for part in content)
    return None
