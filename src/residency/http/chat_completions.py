"""The wire format of OpenAI's chat completions: what is sent, and how answers are read."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from residency.config.endpoint import EndpointConfig
from residency.errors import ConfigError
from residency.interfaces import Generation, Prompt
from residency.nouns.example import Message
from residency.nouns.response import FinishReason, Sampling

_FINISH: Mapping[str | None, FinishReason] = {"stop": "stop", "length": "length"}

FORMATS = ("json_schema", "json_object", "")
"""How JSON is asked for, the strictest first; the last asks by words alone."""


def address(config: EndpointConfig) -> str:
    """Where to post to."""
    try:
        url = urlsplit(config.url)
        known = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        known = False
    if not known:
        raise ConfigError(
            f"the endpoint's url is {config.url!r}",
            next_step="set url to the server's base address, e.g. http://localhost:8080/v1",
        )
    return config.url.rstrip("/").removesuffix("/chat/completions") + "/chat/completions"


def key_header(config: EndpointConfig) -> dict[str, str]:
    """The key from the environment. It stands in no message, not even where it is malformed."""
    if not config.key_env:
        return {}
    key = os.environ.get(config.key_env, "").strip()
    if not key:
        raise ConfigError(
            f"the environment variable {config.key_env} with the API key is not set",
            next_step=f"export {config.key_env}=…",
        )
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(
            f"the API key in {config.key_env} holds characters that no header may hold",
            next_step=f"export {config.key_env} again, with the key alone",
        )
    return {"Authorization": f"Bearer {key}"}


def request_body(
    model: str, prompt: Prompt, sampling: Sampling, *, form: str = ""
) -> dict[str, Any]:
    """The JSON body of one request; ``form`` (of ``FORMATS``) counts where a schema is given."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [_message(m) for m in prompt.messages if m.content or not m.tools],
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


def _message(message: Message) -> dict[str, Any]:
    out: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.tool_calls:
        out["tool_calls"] = [dict(call) for call in message.tool_calls]
    return out


def read_completion(raw: Any) -> tuple[Generation, int]:
    """The answer in a chat-completion object, and its number of tokens.

    Raises:
        KeyError, IndexError, TypeError, AttributeError, ValueError: it is no such object.
    """
    choice = raw["choices"][0]
    message, ended = choice["message"], choice.get("finish_reason")
    text = message.get("content")
    if text is None and message.get("tool_calls"):
        text = json.dumps(message["tool_calls"], ensure_ascii=False)
    elif text is None:  # a refusal is an answer; so is nothing, when the budget went elsewhere
        text = message.get("refusal") or ("" if ended == "length" else None)
    if not isinstance(text, str):
        raise TypeError("content is not text")
    usage = raw.get("usage") or {}
    finish = _FINISH.get(ended, "stop")
    error = ""
    if ended == "content_filter":
        finish, error = "error", "the server's content filter cut the answer"
    prompt_tokens = int(usage.get("prompt_tokens") or 0)
    result = Generation(text=text, finish=finish, prompt_tokens=prompt_tokens, error=error)
    return result, int(usage.get("completion_tokens") or 0)


def reason(response: httpx.Response) -> str:
    """Status and the server's own words, in one line."""
    if to := response.headers.get("location"):
        return f"HTTP {response.status_code}: the address has moved to {to}"
    try:
        raw = response.json()
        inner = raw.get("error", raw)
        text = inner.get("message", inner) if isinstance(inner, dict) else inner
    except (ValueError, AttributeError):
        text = response.text
    line = " ".join(str(text).split())[:200]
    return f"HTTP {response.status_code} {response.reason_phrase}: {line}".rstrip(": ")


def network_error(error: httpx.HTTPError) -> str:
    """What went wrong on the way, in words."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return f"{type(error).__name__}: {error}".rstrip(": ")


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that the server asks to wait, from a number or a date."""
    value = response.headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
