"""The wire format of OpenAI's chat completions: what is sent, and how answers are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from residency.interfaces import Generation, Prompt
from residency.nouns.example import Message
from residency.nouns.response import FinishReason, Sampling
from residency.secrets import hide_secrets, hide_secrets_in_data

ROUTE = "/chat/completions"
FORMATS = ("json_schema", "json_object", "")
"""How a request demands JSON, the strictest first; the last asks by words alone."""
_CUT = frozenset({"length", "max_tokens", "max_output_tokens", "model_length", "token_limit"})
_BROKEN = frozenset({"error", "network_error", "abort", "aborted", "cancelled"})
_REASONING = ("reasoning", "reasoning_content", "reasoning_details", "thinking")
_PASSING = frozenset({408, 409, 425, 429})


@dataclass(frozen=True)
class Completion:
    """One answer, and what it took as the server counted it.

    The numbers of tokens are None where the server did not say. ``cached_tokens`` of the prompt
    were in the server's cache.
    """

    generation: Generation
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    cached_tokens: int = 0


class BrokenCompletionError(Exception):
    """The server says inside a good response that it failed; ``passing`` errors may be tried again."""

    def __init__(self, what: str, *, passing: bool = True) -> None:
        super().__init__(what)
        self.what, self.passing = what, passing


def build_request(
    model: str, prompt: Prompt, sampling: Sampling, *, form: str = ""
) -> dict[str, Any]:
    """The JSON body of one request; ``form`` (of ``FORMATS``) counts where a schema is given."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [_write_message(m) for m in prompt.messages if m.content or not m.tools],
        "max_tokens": sampling.max_new_tokens,
        "temperature": sampling.temperature,
    }
    if tools := [dict(tool) for message in prompt.messages for tool in message.tools]:
        body["tools"] = tools
    if sampling.temperature > 0:
        text = f"{sampling.seed}:{prompt.key}:{prompt.sample}"
        body["seed"] = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1
        body["top_p"] = sampling.top_p
        if sampling.top_k:
            body["top_k"] = sampling.top_k
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if prompt.schema is not None and form:
        body["response_format"] = {"type": form}
        if form == "json_schema":
            # Not "strict": hosted servers then refuse lengths; local ones keep to a schema anyway.
            wanted = {"name": "answer", "schema": dict(prompt.schema)}
            body["response_format"]["json_schema"] = wanted
    return body


def _write_message(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.tool_calls:
        body["tool_calls"] = [dict(call) for call in message.tool_calls]
    return body


def read_completion(raw: Any) -> Completion:
    """The answer in a chat-completion object.

    Raises:
        BrokenCompletionError: the object tells of an error instead of an answer.
        KeyError, IndexError, TypeError, AttributeError, ValueError: it is no such object.
    """
    if error := raw.get("error") or (raw if raw.get("object") == "error" else None):
        raise _read_error(error)
    choice = min(raw["choices"], key=_read_index)  # one is wanted; some send more, in any order
    message, ended = choice.get("message") or {}, choice.get("finish_reason")
    if not message and isinstance(choice.get("text"), str):  # the older form of completions
        message = {"content": choice["text"]}
    if error := choice.get("error") or message.get("error"):
        raise _read_error(error)
    if ended in _BROKEN:
        raise BrokenCompletionError(f"the server ended the answer with {ended!r}")
    finish: FinishReason = "length" if ended in _CUT else "stop"
    text = hide_secrets_in_data(read_text(message, cut=finish == "length"))
    error_text = ""
    if ended == "content_filter":
        finish, error_text = "error", "the server's content filter cut the answer"
    usage = _as_object(raw.get("usage"))
    prompt_tokens = _read_count(usage.get("prompt_tokens"))
    details = _as_object(usage.get("prompt_tokens_details"))
    generation = Generation(
        text=text, finish=finish, prompt_tokens=prompt_tokens or 0, error=error_text
    )
    return Completion(
        generation,
        prompt_tokens,
        _read_count(usage.get("completion_tokens")),
        _read_count(details.get("cached_tokens")) or 0,
    )


def read_text(message: Mapping[str, Any], *, cut: bool = False) -> str:
    """What a message says: its text, else its tool calls, else its refusal, else nothing.

    An answer whose budget went into reasoning has no text, and that is an answer.

    Raises:
        TypeError: the content is neither text nor parts of text, or nothing is there at all.
    """
    content = message.get("content")
    text = "".join(_read_part(part) for part in content) if isinstance(content, list) else content
    calls = message.get("tool_calls") or message.get("function_call")
    if not text and calls:
        return json.dumps(calls, ensure_ascii=False)
    if text is None:
        reasoned = any(message.get(key) for key in _REASONING)
        text = message.get("refusal") or ("" if cut or reasoned else None)
    if not isinstance(text, str):
        raise TypeError("content is not text")
    return text


def join_events(lines: Sequence[str]) -> dict[str, Any]:
    """A completion that a server sent as server-sent events though none were wanted.

    Args:
        lines: the data of each event.

    Raises:
        ValueError: they are no pieces of a completion, or end before the answer does.
    """
    lines = [line.strip() for line in lines]
    events = [json.loads(line) for line in lines if line and line != "[DONE]"]
    if not events or not all(isinstance(event, dict) for event in events):
        raise ValueError("no events of a completion")
    joined: dict[str, Any] = {"choices": [{"message": {"content": ""}, "finish_reason": None}]}
    choice = joined["choices"][0]
    for event in events:
        joined |= {key: event[key] for key in ("usage", "error") if event.get(key)}
        for piece in (event.get("choices") or [])[:1]:
            delta = _as_object(piece.get("delta") or piece.get("message"))
            choice["message"]["content"] += read_text({"content": "", **_drop_nothing(delta)})
            choice["finish_reason"] = piece.get("finish_reason") or choice["finish_reason"]
    if choice["finish_reason"] is None and "[DONE]" not in lines and "error" not in joined:
        raise ValueError("the events end before the answer does")
    return joined


def _drop_nothing(delta: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in delta.items() if value is not None}


def _as_object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _read_index(choice: Mapping[str, Any]) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else 0


def _read_part(part: Any) -> str:
    """The text of one part of a content; reasoning and pictures are no part of the answer."""
    if isinstance(part, str):
        return part
    if part.get("type") in ("text", "output_text", None):
        text = part.get("text", "")
        return str(text.get("value", "")) if isinstance(text, Mapping) else str(text or "")
    return str(part.get("refusal") or "") if part.get("type") == "refusal" else ""


def _read_error(error: Any) -> BrokenCompletionError:
    what, code = error, None
    if isinstance(error, Mapping):
        what, code = error.get("message") or error, error.get("code")
    passing = not isinstance(code, int) or code >= 500 or code in _PASSING
    return BrokenCompletionError(hide_secrets(" ".join(str(what).split()))[:200], passing=passing)


def _read_count(value: Any) -> int | None:
    """A number of tokens; None where the server does not count or says nonsense."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < 1e12 else None
