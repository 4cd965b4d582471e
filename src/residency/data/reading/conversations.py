"""Messages of a record → messages: OpenAI's ``{role, content}`` and ShareGPT's ``{from, value}``.

What cannot be read as text (an image, an unknown role, a broken tool call) is refused with the
field and the reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from residency.nouns.example import Message, Role

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
    "tool_response": "tool",
    "function_call": "assistant",
    "tool_call": "assistant",
}
_CALLS = {"function_call", "tool_call"}
_THINKING = ("reasoning", "thinking")


class RowError(Exception):
    """A row cannot be used. Args: the reason, and the field at fault."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.reason, self.field = reason, field


def clean_text(text: str, field: str) -> str:
    """The text, unless it holds what no tokenizer should see.

    Raises:
        RowError: a NUL, half of a surrogate pair, or a byte that is not UTF-8.
    """
    if "\x00" in text:
        raise RowError(f"a NUL character at position {text.index(chr(0))}", field)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        what = (
            f"not UTF-8: byte 0x{code - 0xDC00:02x}"
            if 0xDC80 <= code <= 0xDCFF
            else f"half of a surrogate pair (U+{code:04X})"
        )
        raise RowError(f"{what} at position {error.start}", field) from None
    return text


def read_messages(value: Any, field: str) -> tuple[Message, ...]:
    """A list of ``{role, content}`` or ``{from, value}`` (or its JSON text) as messages.

    Raises:
        RowError: a role is unknown, a content is missing or is not text, or there is no turn.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise RowError("a list of messages is expected, found text", field) from None
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list) or not value:
        raise RowError("a list of messages is expected", field)
    return tuple(_message(raw, f"{field}[{n}]") for n, raw in enumerate(value))


def _message(raw: Any, field: str) -> Message:
    if not isinstance(raw, Mapping):
        raise RowError(f"a message object is expected, found {type(raw).__name__}", field)
    name = raw.get("role", raw.get("from"))
    role = _ROLES.get(str(name).lower())
    if role is None:
        raise RowError(f"unknown role {name!r}", f"{field}.role")
    content = raw.get("content", raw.get("value"))
    calls = raw.get("tool_calls") or ()
    if not isinstance(calls, list | tuple) or not all(isinstance(c, Mapping) for c in calls):
        raise RowError("a list of tool calls is expected", f"{field}.tool_calls")
    if str(name).lower() in _CALLS:
        calls, content = _sharegpt_calls(content, field), ""
    thinking = raw.get("reasoning_content") or raw.get("thinking") or ""
    if isinstance(content, list):
        thoughts = [p for p in content if isinstance(p, Mapping) and p.get("type") in _THINKING]
        thinking = thinking or "".join(str(p.get("value", p.get("text", ""))) for p in thoughts)
        content = [p for p in content if p not in thoughts]
        content, more = _split_parts(content, f"{field}.content")
        calls = (*calls, *more)
    if content is None and calls:
        content = ""
    if not isinstance(content, str):
        raise RowError("the content is missing or is not text", f"{field}.content")
    return Message(
        role,
        clean_text(content, f"{field}.content"),
        input=clean_text(str(raw.get("input") or ""), f"{field}.input"),
        tool_calls=tuple(dict(call) for call in calls),
        thinking=clean_text(str(thinking), f"{field}.thinking"),
        tools=read_tools(raw.get("tools"), f"{field}.tools"),
    )


def read_tools(value: Any, field: str) -> tuple[dict[str, Any], ...]:
    """Definitions of tools (or their JSON text) in OpenAI's form; bare functions are wrapped.

    Raises:
        RowError: it is no list of objects that have a name.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except ValueError:
            raise RowError("the tool definitions are not valid JSON", field) from None
    if not value:
        return ()
    tools = value if isinstance(value, list | tuple) else [value]
    out = []
    for tool in tools:
        whole = tool if isinstance(tool, dict) and "function" in tool else None
        whole = whole or {"type": "function", "function": tool}
        if not isinstance(whole["function"], dict) or not whole["function"].get("name"):
            raise RowError("a tool definition needs a name", field)
        out.append(whole)
    return tuple(out)


def with_tools(
    messages: tuple[Message, ...], tools: tuple[dict[str, Any], ...]
) -> tuple[Message, ...]:
    """The conversation with definitions of tools on its system message, or on one of their own."""
    if not tools:
        return messages
    if messages[0].role == "system":
        return (replace(messages[0], tools=tools), *messages[1:])
    return (Message("system", "", tools=tools), *messages)


def _sharegpt_calls(content: Any, field: str) -> tuple[dict[str, Any], ...]:
    try:
        value = json.loads(content) if isinstance(content, str) else content
    except ValueError:
        raise RowError("the tool call is not valid JSON", field) from None
    calls = value if isinstance(value, list) else [value]
    if not all(isinstance(call, dict) and "name" in call for call in calls):
        raise RowError("a tool call needs a name", field)
    return tuple(
        {
            "type": "function",
            "function": {"name": call["name"], "arguments": call.get("arguments", {})},
        }
        for call in calls
    )


def join_parts(parts: Sequence[Any], field: str) -> str:
    """Text of a content list of parts.

    Raises:
        RowError: a part is not text.
    """
    return _split_parts(parts, field)[0]


def _split_parts(parts: Sequence[Any], field: str) -> tuple[str, tuple[dict[str, Any], ...]]:
    """Text of a content list, and the tool calls in it; other kinds of parts are refused."""
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    for part in parts:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if isinstance(part, str):
            texts.append(part)
        elif kind == "text":
            texts.append(str(part.get("text", part.get("value", ""))))
        elif kind == "tool_call":
            calls += _sharegpt_calls(part.get("value", part.get("tool_call")), field)
        else:
            raise RowError(f"a part of type {kind!r}: the row needs more than text", field)
    return "".join(texts), tuple(calls)
