"""Tool calls and definitions of tools, in OpenAI's form whatever form they come in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from residency.data.reading.clean_text import RowError, clean_value


def read_tools(value: Any, field: str) -> tuple[dict[str, Any], ...]:
    """Definitions of tools (or their JSON text) in OpenAI's form; bare functions are wrapped.

    Raises:
        RowError: it is no list of objects that have a name.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except (ValueError, RecursionError):
            raise RowError("the tool definitions are not valid JSON", field) from None
    if not value:
        return ()
    tools = value if isinstance(value, list | tuple) else [value]
    out = []
    for tool in tools:
        definition = tool if isinstance(tool, dict) and "function" in tool else None
        definition = definition or {"type": "function", "function": tool}
        function = definition["function"]
        if not isinstance(function, dict) or not function.get("name"):
            raise RowError("a tool definition needs a name", field)
        out.append(clean_value(definition, field))
    return tuple(out)


def read_openai_calls(value: Any, field: str) -> tuple[dict[str, Any], ...]:
    """The ``tool_calls`` of a message.

    Raises:
        RowError: it is no list of objects.
    """
    calls = value or ()
    if not isinstance(calls, list | tuple) or not all(isinstance(c, Mapping) for c in calls):
        raise RowError("a list of tool calls is expected", field)
    return tuple(clean_value(call, field) for call in calls)


def read_named_calls(content: Any, field: str) -> tuple[dict[str, Any], ...]:
    """ShareGPT's ``{"name": …, "arguments": …}`` (one, a list, or their JSON text).

    Raises:
        RowError: it is not JSON, or a call has no name.
    """
    try:
        value = json.loads(content) if isinstance(content, str) else content
    except (ValueError, RecursionError):
        raise RowError("the tool call is not valid JSON", field) from None
    calls = value if isinstance(value, list) else [value]
    if not all(isinstance(call, Mapping) and "name" in call for call in calls):
        raise RowError("a tool call needs a name", field)
    return tuple(
        clean_value(
            {
                "type": "function",
                "function": {"name": call["name"], "arguments": call.get("arguments", {})},
            },
            field,
        )
        for call in calls
    )
