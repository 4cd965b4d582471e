"""What a log of production says: a conversation and its answer, in the shapes that servers and
observers of language models write.

Read are: pairs of request and response (``request``/``response``, ``input``/``output``,
``inputs``/``outputs``, ``request_body``/``response_body``, ``prompt``/``completion``, either as objects
or as JSON text, wrapped in ``body`` or not); chat completions and responses of OpenAI's API; lines of
OpenAI's batches; conversations (``messages``, ``conversation``, ``conversations``) whose last assistant
turn is the answer; spans of OpenAI's agents and of OpenTelemetry (``trace_spans.py``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from residency.data.reading.clean_text import RowError, clean_text
from residency.data.reading.conversations import read_messages
from residency.data.reading.trace_spans import read_span
from residency.nouns.example import Message

_PAIRS = (
    ("request", "response"),
    ("request_body", "response_body"),
    ("requestBody", "responseBody"),
    ("inputs", "outputs"),
    ("input", "output"),
    ("prompt", "completion"),
    ("prompt", "response"),
    ("messages", "response"),
    ("messages", "output"),
    ("body", "response"),
)
_CONVERSATIONS = ("messages", "conversation", "conversations")
_TIMES = (
    "time",
    "timestamp",
    "created_at",
    "created",
    "start_time",
    "startTime",
    "started_at",
    "startTimeUnixNano",
)
_MODELS = ("model", "model_name", "gen_ai.request.model", "gen_ai.response.model")
_IDS = ("custom_id", "request_id", "id", "trace_id", "conversation_hash", "conversation_id")
_UP = {"up", "thumbs_up", "positive", "good", "like", "1", "true", "upvote"}
_DOWN = {"down", "thumbs_down", "negative", "bad", "dislike", "-1", "0", "false", "downvote"}
_DEEPEST = 6


@dataclass(frozen=True)
class Conversation:
    """A prompt and its answer.

    ``time``: seconds since 1970, 0 where nobody says. ``thumb``: up, down or empty. ``key``: the id that
    the log gives it. ``answer`` is empty for half a pair (a line of a batch's input).
    """

    messages: tuple[Message, ...]
    answer: str
    model: str = ""
    time: float = 0.0
    thumb: str = ""
    key: str = ""


def read_conversation(values: Mapping[str, Any]) -> Conversation:
    """The conversation in one record of a log.

    Raises:
        RowError: none of the shapes fits, or it holds no question or no answer in text.
    """
    values = {str(key): _open_text(value) for key, value in values.items()}
    prompt, answer = _find_halves(values)
    if not prompt:
        raise RowError("no question in text is found", "")
    if not any(m.role == "user" and m.text.strip() for m in prompt):
        raise RowError("no turn of a user", "")
    return Conversation(
        prompt,
        clean_text(answer, "answer"),
        model=_find_text(values, _MODELS),
        time=read_time(_find_first(values, _TIMES)),
        thumb=read_thumb(values),
        key=_find_text(values, _IDS),
    )


def read_answer_half(values: Mapping[str, Any]) -> tuple[str, str] | None:
    """Key and answer of a line of a batch's output; None for any other record."""
    response = values.get("response")
    if values.get("custom_id") is None or not isinstance(response, Mapping) or "body" in values:
        return None
    try:
        return str(values["custom_id"])[:128], _read_answer(response, 0)
    except RowError:
        return None


def read_time(value: Any) -> float:
    """Seconds since 1970 from a number (also of milli-, micro- or nanoseconds) or ISO text; 0 for others."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value.strip()).timestamp()
        except (ValueError, OverflowError, OSError):
            pass
        try:
            value = float(value)
        except ValueError:
            return 0.0
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e20:
        return 0.0
    while value > 1e11:
        value /= 1000
    return float(value)


def read_thumb(values: Mapping[str, Any]) -> str:
    """``up``, ``down`` or nothing, from a field of feedback."""
    for name in ("thumb", "feedback", "rating", "thumbs", "user_feedback"):
        value = values.get(name)
        if isinstance(value, Mapping):
            value = next(
                (value[k] for k in ("thumb", "rating", "value", "score") if k in value), ""
            )
        word = str(value).strip().lower().removesuffix(".0") if value is not None else ""
        if word in _UP:
            return "up"
        if word in _DOWN:
            return "down"
    return ""


def _find_halves(values: Mapping[str, Any]) -> tuple[tuple[Message, ...], str]:
    """The prompt, and the answer."""
    span = read_span(values)
    if span is not None:
        prompt = read_messages(span.prompt, "input")
        return prompt, _read_answer(span.answer, 0)
    for asks, answers in _PAIRS:
        if asks in values and answers in values:
            prompt = _read_question(values[asks], 0)
            if prompt:
                return prompt, _read_answer(values[answers], 0)
    for name in _CONVERSATIONS:
        if name in values and "choices" in values:
            return read_messages(values[name], name), _read_answer(values, 0)
    for name in _CONVERSATIONS:
        if name in values:
            return _divide(read_messages(values[name], name))
    if values.get("custom_id") is not None and isinstance(values.get("body"), Mapping):
        return _read_question(values["body"], 0), ""
    raise RowError("the record has no shape that is known", ", ".join(list(values)[:6]))


def _divide(messages: tuple[Message, ...]) -> tuple[tuple[Message, ...], str]:
    """A conversation before its last answer, and that answer."""
    last = max((n for n, m in enumerate(messages) if m.role == "assistant"), default=-1)
    if last < 1 or not messages[last].text.strip():
        raise RowError("the conversation holds no answer in text", "messages")
    return messages[:last], messages[last].text


def _read_question(value: Any, depth: int) -> tuple[Message, ...]:
    """Messages of a request, however it is wrapped; nothing where there is no text."""
    value = _open_text(value)
    if depth > _DEEPEST:
        return ()
    if isinstance(value, str):
        return (Message("user", clean_text(value, "prompt")),) if value.strip() else ()
    if isinstance(value, list):
        if value and all(isinstance(item, Mapping) and "type" in item for item in value):
            value = [
                item for item in value if item.get("type") in ("message", None, "text")
            ] or value
        return read_messages(value, "messages")
    if not isinstance(value, Mapping):
        return ()
    for name in (*_CONVERSATIONS, "input", "prompt", "question", "query"):
        if value.get(name):
            messages = _read_question(value[name], depth + 1)
            rules = value.get("instructions") or value.get("system")
            if (
                isinstance(rules, str)
                and rules.strip()
                and messages
                and messages[0].role != "system"
            ):
                return (Message("system", rules), *messages)
            return messages
    for name in ("body", "kwargs", "json"):
        if name in value:
            return _read_question(value[name], depth + 1)
    return ()


def _read_answer(value: Any, depth: int) -> str:
    """The text of a response, however it is wrapped.

    Raises:
        RowError: it holds no text.
    """
    value = _open_text(value)
    if isinstance(value, str) and value.strip():
        return value
    if depth <= _DEEPEST and isinstance(value, list) and value:
        last = [item for item in value if not _is_other_part(item)]
        if all(isinstance(i, Mapping) and i.get("type") in _TEXT_PARTS for i in last) and last:
            return "".join(str(item.get("text", "")) for item in last)
        if last:
            return _read_answer(last[-1] if "role" in _keys(last[-1]) else last[0], depth + 1)
    if depth <= _DEEPEST and isinstance(value, Mapping):
        for name in _ANSWER_KEYS:
            if value.get(name):
                return _read_answer(value[name], depth + 1)
    raise RowError("the answer holds no text", "")


_TEXT_PARTS = ("text", "output_text")
_ANSWER_KEYS = (
    "body",
    "choices",
    "output_text",
    "output",
    "message",
    "content",
    "text",
    "completion",
    "generations",
    "answer",
    "response",
    "messages",
)


def _is_other_part(item: Any) -> bool:
    """Reasoning and tool calls of a response: no part of what is answered."""
    kind = item.get("type") if isinstance(item, Mapping) else None
    return isinstance(kind, str) and ("reasoning" in kind or "call" in kind)


def _keys(value: Any) -> set[str]:
    return set(value) if isinstance(value, Mapping) else set()


def _open_text(value: Any) -> Any:
    """JSON that stands as text, opened."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            opened = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return opened if isinstance(opened, dict | list) and _is_wrapped(opened) else value
    return value


def _is_wrapped(value: Any) -> bool:
    """Whether JSON in a text is a message or response, and not itself what was written."""
    first = value[0] if isinstance(value, list) and value else value
    return bool(_keys(first) & {"messages", "choices", "role", "from", "object"})


def _find_first(values: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    mappings = [values, *(v for v in values.values() if isinstance(v, Mapping))]
    mappings += [v["body"] for v in mappings if isinstance(v.get("body"), Mapping)]
    for mapping in mappings:
        for name in names:
            if mapping.get(name) is not None:
                return mapping[name]
    return None


def _find_text(values: Mapping[str, Any], names: tuple[str, ...]) -> str:
    value = _find_first(values, names)
    return str(value)[:128] if isinstance(value, str | int) else ""
