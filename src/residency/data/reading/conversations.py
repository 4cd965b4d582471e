"""Messages of a record → messages: OpenAI's ``{role, content}`` and ShareGPT's ``{from, value}``.

What cannot be read as text (an image, an unknown role, a broken tool call) is refused with the
field and the reason. Marks of turns that must not be learned are honoured (``learn_marks.py``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from residency.data.reading.clean_text import RowError, clean_text, describe_type
from residency.data.reading.column_paths import read_turns
from residency.data.reading.harmony import CHANNEL_KEYS, join_channels
from residency.data.reading.learn_marks import is_learned, read_mark_name
from residency.data.reading.tool_calls import read_named_calls, read_openai_calls, read_tools
from residency.data.reading.turn_shapes import expand_turn, read_refusal
from residency.files.turn_lists import (
    ASSISTANT_KEYS,
    PAIR_KEYS,
    SPEAKER_KEYS,
    USER_KEYS,
    WORDS_KEYS,
    list_column_turns,
)
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
    "bing": "assistant",
    "claude": "assistant",
    "gemini": "assistant",
    "client": "user",
    "model": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "ai": "assistant",
    "agent": "assistant",
    "customer": "user",
    "humanmessage": "user",
    "aimessage": "assistant",
    "systemmessage": "system",
    "toolmessage": "tool",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
    "tool_response": "tool",
    "function_call": "assistant",
    "tool_call": "assistant",
}
_CALL_ROLES = {"function_call", "tool_call"}
_THINKING = ("reasoning", "thinking")
_THINKING_KEYS = ("reasoning_content", "thinking", "reasoning", "thought")
_TEXT_PARTS = ("text", "input_text", "output_text")
_CALL_PARTS = ("tool_call", "tool_use")

READ_KEYS = {
    "role",
    "from",
    "content",
    "value",
    "tool_calls",
    "function_call",
    "refusal",
    *SPEAKER_KEYS,
    *WORDS_KEYS,
    *USER_KEYS,
    *ASSISTANT_KEYS,
    *_THINKING_KEYS,
    *CHANNEL_KEYS,
    "input",
    "tools",
}
"""Keys of a message that are read. Others are listed, as columns that are not used are."""


def read_messages(value: Any, field: str) -> tuple[Message, ...]:
    """A list of ``{role, content}`` or ``{from, value}`` (or its JSON text) as messages.

    Raises:
        RowError: a role is unknown, a content is missing or is not text, or there is no turn.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise RowError("a list of messages is expected, found text", field) from None
    if isinstance(value, Mapping):
        value = list_column_turns(value) or [value]
    if not isinstance(value, list) or not value:
        raise RowError("a list of messages is expected", field)
    return tuple(
        _read_message(turn, f"{field}[{n}]")
        for n, raw in enumerate(join_channels(value))
        for turn in expand_turn(raw)
    )


def list_unread_keys(value: Any) -> set[str]:
    """Keys inside the messages of a row that are not read."""
    turns = read_turns(value) or ([value] if isinstance(value, Mapping) else [])
    unread: set[str] = set()
    for raw in turns:
        if isinstance(raw, Mapping):
            keys = {str(key).strip().lower() for key in raw}
            pairs = () if keys & set(SPEAKER_KEYS) else PAIR_KEYS
            pair = next((pair for pair in pairs if set(pair) <= keys), ())
            read = READ_KEYS.union(pair, ("system",) if pair else ())
            unread |= {
                str(key)
                for key in raw
                if str(key).strip().lower() not in read and read_mark_name(str(key)) is None
            }
    return unread


def _read_message(raw: Any, field: str) -> Message:
    if not isinstance(raw, Mapping):
        raise RowError(f"a message object is expected, found {type(raw).__name__}", field)
    name = raw.get("role", raw.get("from"))
    role = _ROLES.get(str(name).lower())
    if role is None:
        raise RowError(
            f"unknown role {name!r}; write system, user, assistant or tool", f"{field}.role"
        )
    content = raw.get("content", raw.get("value"))
    calls = read_openai_calls(raw.get("tool_calls"), f"{field}.tool_calls")
    if str(name).lower() in _CALL_ROLES:
        calls, content = read_named_calls(content, field), ""
    thoughts_beside = [v for key in _THINKING_KEYS if isinstance(v := raw.get(key), str) and v]
    thinking = thoughts_beside[0] if thoughts_beside else ""
    if content is None and role == "assistant":
        content = read_refusal(raw)
    if isinstance(content, list):
        thoughts = [p for p in content if isinstance(p, Mapping) and p.get("type") in _THINKING]
        thinking = thinking or "".join(map(_read_thought, thoughts))
        content = [p for p in content if p not in thoughts]
        content, calls_within = _split_parts(content, f"{field}.content")
        calls = (*calls, *calls_within)
    if content is None and calls:
        content = ""
    if not isinstance(content, str):
        raise RowError("the content is missing or is not text", f"{field}.content")
    return Message(
        role,
        clean_text(content, f"{field}.content"),
        input=clean_text(str(raw.get("input") or ""), f"{field}.input"),
        tool_calls=calls,
        thinking=clean_text(str(thinking), f"{field}.thinking"),
        tools=read_tools(raw.get("tools"), f"{field}.tools"),
        trained=role != "assistant" or is_learned(raw, field),
    )


def _read_thought(part: Mapping[str, Any]) -> str:
    """The text of a part of thinking, under any of the names that it has."""
    return str(next((part[key] for key in ("value", "text", "thinking") if part.get(key)), ""))


def is_empty(message: Message) -> bool:
    """Whether a turn holds nothing: no text but white space, no calls, no thinking."""
    texts = (message.content, message.input, message.thinking)
    return not message.tool_calls and all(not text or text.isspace() for text in texts)


def trim_empty_turns(
    messages: tuple[Message, ...], *, need_answer: bool
) -> tuple[tuple[Message, ...], tuple[str, ...]]:
    """The conversation without what nothing can be learned from, and what was left out, in words.

    Empty system messages go. From the first empty turn on that follows an answer the rest goes. With
    ``need_answer`` what follows the last assistant turn goes, too.
    """
    changes: list[str] = []
    trimmed = tuple(m for m in messages if m.role != "system" or m.tools or not is_empty(m))
    if len(trimmed) < len(messages):
        changes.append("an empty system message was left out")
    for number, message in enumerate(trimmed):
        if message.role not in ("user", "assistant") or not is_empty(message):
            continue
        if any(m.role == "assistant" for m in trimmed[:number]):
            trimmed = trimmed[:number]
            changes.append("the conversation was cut at an empty turn")
            break
    if need_answer:
        end = max((n for n, m in enumerate(trimmed, 1) if m.role == "assistant"), default=0)
        if 0 < end < len(trimmed):
            trimmed = trimmed[:end]
            changes.append("what follows the last assistant turn was left out")
    return trimmed, tuple(changes)


def with_tools(
    messages: tuple[Message, ...], tools: tuple[dict[str, Any], ...]
) -> tuple[Message, ...]:
    """The conversation with definitions of tools on its system message, or on one of their own."""
    if not tools:
        return messages
    if messages and messages[0].role == "system":
        return (replace(messages[0], tools=tools), *messages[1:])
    return (Message("system", "", tools=tools), *messages)


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
        elif kind in _TEXT_PARTS or (
            kind is None and isinstance(part, Mapping) and isinstance(part.get("text"), str)
        ):
            texts.append(str(part.get("text", part.get("value", ""))))
        elif kind in _CALL_PARTS:
            call = part.get("value", part.get("tool_call"))
            if call is None:  # Anthropic's, its name and input beside the type
                call = {"name": part.get("name"), "arguments": part.get("input", {})}
            calls += read_named_calls(call, field)
        elif kind is None:
            raise RowError(f"text is expected, found {describe_type(part)}", field)
        else:
            raise RowError(f"a part of type {kind!r}: the row needs more than text", field)
    return "".join(texts), tuple(calls)
