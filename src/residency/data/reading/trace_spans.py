"""Spans of traces: a model's prompt and answer, in the attributes of OpenTelemetry and others.

Known are the conventions for generative models of OpenTelemetry (``gen_ai.input.messages``), of
OpenLLMetry (``gen_ai.prompt.0.content``) and of OpenInference (``llm.input_messages.0.message.content``),
and the spans of OpenAI's agents (``span_data``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_NUMBERED = {
    "prompt": re.compile(
        r"(?:gen_ai\.prompt|llm\.prompts|llm\.input_messages)\.(\d+)\.(?:message\.)?(role|content)"
    ),
    "answer": re.compile(
        r"(?:gen_ai\.completion|llm\.completions|llm\.output_messages)\.(\d+)\.(?:message\.)?(role|content)"
    ),
}
_WHOLE = {
    "prompt": ("gen_ai.input.messages", "gen_ai.prompt"),
    "answer": ("gen_ai.output.messages", "gen_ai.completion"),
}


@dataclass(frozen=True)
class Span:
    """Messages of both sides, as ``{role, content}``."""

    prompt: list[dict[str, Any]]
    answer: list[dict[str, Any]]


def expand_spans(values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The records in one record: the spans of an OTLP export, else the record itself."""
    resources = values.get("resourceSpans") or values.get("resource_spans")
    if not isinstance(resources, list):
        yield values
        return
    for resource in resources:
        for scope in _list(resource, "scopeSpans", "scope_spans"):
            yield from _list(scope, "spans")


def is_other_span(values: Mapping[str, Any]) -> bool:
    """Whether a record is a span that asks no model: of a tool, a chain, a database."""
    is_span = any(key in values for key in ("span_id", "spanId", "span_data", "traceId"))
    is_span = is_span or values.get("object") == "trace" or "attributes" in values
    return is_span and read_span(values) is None


def read_span(values: Mapping[str, Any]) -> Span | None:
    """Prompt and answer of a span; None for any other record."""
    data = values.get("span_data")
    if isinstance(data, Mapping) and data.get("type") == "generation":
        prompt, answer = _open(data.get("input")), _open(data.get("output"))
        if isinstance(prompt, list) and isinstance(answer, list):
            return Span(list(map(_as_message, prompt)), list(map(_as_message, answer)))
    attributes = _read_attributes(values.get("attributes"))
    prompt, answer = (_read_side(attributes, side) for side in ("prompt", "answer"))
    return Span(prompt, answer) if prompt and answer else None


def _read_attributes(raw: Any) -> dict[str, Any]:
    """Attributes as a mapping: OTLP writes a list of key and typed value."""
    if isinstance(raw, Mapping):
        return {str(key): value for key, value in raw.items()}
    out = {}
    for item in raw if isinstance(raw, list) else ():
        if isinstance(item, Mapping) and isinstance(item.get("value"), Mapping):
            out[str(item.get("key"))] = next(iter(item["value"].values()), None)
    return out


def _read_side(attributes: Mapping[str, Any], side: str) -> list[dict[str, Any]]:
    for name in _WHOLE[side]:
        messages = _open(attributes.get(name))
        if isinstance(messages, list):
            return list(map(_as_message, messages))
    turns: dict[int, dict[str, Any]] = {}
    for key, value in attributes.items():
        if match := _NUMBERED[side].fullmatch(key):
            turns.setdefault(int(match[1]), {})[match[2]] = value
    role = "user" if side == "prompt" else "assistant"
    return [{"role": role, **turns[number]} for number in sorted(turns)]


def _as_message(raw: Any) -> dict[str, Any]:
    """``{role, content}`` from OpenTelemetry's ``parts``."""
    if not isinstance(raw, Mapping):
        return {"role": "user", "content": str(raw)}
    message = dict(raw)
    parts = message.get("parts")
    if isinstance(parts, list):
        texts = [p for p in parts if isinstance(p, Mapping) and p.get("type") == "text"]
        message["content"] = "".join(str(p.get("content", p.get("text", ""))) for p in texts)
    return {"role": message.get("role", "assistant"), "content": message.get("content") or ""}


def _open(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _list(value: Any, *names: str) -> list[Any]:
    for name in names:
        if isinstance(value, Mapping) and isinstance(value.get(name), list):
            return [item for item in value[name] if isinstance(item, Mapping)]
    return []
