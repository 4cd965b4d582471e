"""Turns of conversations in the shapes that files have → OpenAI's ``{role, content}``.

Read are keys in any case, other names of the speaker and of the words (``from``/``value``,
``speaker``/``text``, Gemini's ``parts``), LangChain's ``{type, data}``, turns that hold a question and
its answer at once (``{human, assistant}``), the older ``function_call`` of OpenAI's, its ``refusal``,
and Anthropic's results of tools within a user's turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from residency.files.turn_lists import (
    ASSISTANT_KEYS,
    PAIR_KEYS,
    SPEAKER_KEYS,
    USER_KEYS,
    WORDS_KEYS,
)

_RESULT_PARTS = ("tool_result", "function_call_output")


def expand_turn(raw: Any) -> list[Any]:
    """One element of a conversation as one or several messages of ``role`` and ``content``.

    What is no object, or has no speaker in any known way, comes back as it is.
    """
    if not isinstance(raw, Mapping):
        return [raw]
    turn = raw
    usual = ("role" in raw and "content" in raw) or ("from" in raw and "value" in raw)
    if not usual or "function_call" in raw:
        pair = _divide_pair(raw)
        if pair:
            return pair
        turn = _name_plainly(raw)
    content = turn.get("content", turn.get("value"))
    if isinstance(content, list) and any(_is_result(part) for part in content):
        return _part_results(turn, content)
    return [turn]


def _name_plainly(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The turn with ``role`` and ``content`` where it has them by other names."""
    turn = {str(key).strip().lower() if isinstance(key, str) else key: v for key, v in raw.items()}
    if "type" in turn and isinstance(turn.get("data"), Mapping):  # LangChain
        turn = {**turn.pop("data"), "role": turn["type"]}
        turn.pop("type", None)
    if "role" not in turn and "from" not in turn:
        name = next((key for key in (*SPEAKER_KEYS, "type") if key in turn), None)
        if name is not None:
            turn["role"] = turn.pop(name)
    if isinstance(turn.get("role"), Mapping):
        turn["role"] = turn["role"].get("role")
    if "content" not in turn and "value" not in turn:
        name = next((key for key in WORDS_KEYS if key in turn), None)
        if name is not None:
            turn["content"] = turn.pop(name)
    call = turn.get("function_call")
    if isinstance(call, Mapping) and not turn.get("tool_calls"):
        turn["tool_calls"] = [{"type": "function", "function": dict(call)}]
        turn.pop("function_call")
    return turn


def read_refusal(raw: Mapping[str, Any]) -> Any:
    """What a turn without content says in OpenAI's ``refusal``; None where there is none."""
    return raw.get("refusal") or None


def _divide_pair(raw: Mapping[str, Any]) -> list[Any]:
    """Question and answer of one element as two turns; nothing where it is no such pair."""
    turn = {str(key).strip().lower(): value for key, value in raw.items()}
    asks = [key for key in USER_KEYS if key in turn]
    answers = [key for key in ASSISTANT_KEYS if key in turn]
    if not asks and not answers and not turn.keys() & set(SPEAKER_KEYS):
        named = next((pair for pair in PAIR_KEYS if set(pair) <= turn.keys()), None)
        asks, answers = ([named[0]], [named[1]]) if named else ([], [])
    if len(asks) != 1 or len(answers) != 1:
        return []
    system = turn.get("system")
    first = [{"role": "system", "content": system}] if isinstance(system, str) and system else []
    marks = {k: v for k, v in turn.items() if k not in (asks[0], answers[0], "system")}
    return [
        *first,
        {"role": "user", "content": turn[asks[0]]},
        {**marks, "role": "assistant", "content": turn[answers[0]]},
    ]


def _is_result(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") in _RESULT_PARTS


def _part_results(turn: Mapping[str, Any], content: list[Any]) -> list[Any]:
    """A turn whose parts hold results of tools: each result a turn, then the rest."""
    turns: list[Any] = [
        {"role": "tool", "content": part.get("content", part.get("output", ""))}
        for part in content
        if _is_result(part)
    ]
    rest = [part for part in content if not _is_result(part)]
    return [*turns, {**turn, "content": rest}] if rest else turns
