"""Whether a value is a turn of a conversation, by its keys: lists of turns are one row, not rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SPEAKER_KEYS = ("role", "from", "speaker", "author", "sender")
"""Keys under which files say who speaks, in any case."""
WORDS_KEYS = ("content", "value", "text", "message", "utterance", "parts")
"""Keys under which they say what."""
USER_KEYS = ("user", "human", "prompter")
ASSISTANT_KEYS = ("assistant", "gpt", "bot", "chatgpt", "ai", "model")
"""Keys of turns that hold a question and its answer at once: ``{"human": …, "assistant": …}``."""
PAIR_KEYS = (("input", "output"), ("question", "answer"), ("prompt", "response"))
"""The same within a list that is known to be a conversation; elsewhere these are rows."""
LANGCHAIN_TYPES = ("human", "ai", "system", "tool", "function", "chat")
"""Kinds of messages as LangChain names them under ``type``."""


def is_turn(value: Any) -> bool:
    """Whether a value says who speaks and what, in one of the ways that files do."""
    if not isinstance(value, Mapping):
        return False
    keys = {str(key).strip().lower() for key in value}
    if keys & {"message_id", "parent_id"}:
        return False  # a message of a tree, which stands on a separate line
    says = keys & {*WORDS_KEYS, "tool_calls", "function_call"}
    if says and keys & set(SPEAKER_KEYS):
        return True
    if keys & set(USER_KEYS) and keys & set(ASSISTANT_KEYS):
        return True
    return value.get("type") in LANGCHAIN_TYPES and bool(keys & {"data", "content"})


def is_turn_list(value: Any) -> bool:
    """Whether it is a conversation: a list of turns and nothing else."""
    return isinstance(value, list) and bool(value) and all(map(is_turn, value))


def list_column_turns(value: Any) -> list[Any]:
    """The turns of a conversation that is written as columns (``{"role": […], "content": […]}``), as
    Hugging Face's libraries write lists of objects; empty where it is none."""
    if not isinstance(value, Mapping) or not value:
        return []
    columns = list(value.values())
    if not all(isinstance(c, list) and len(c) == len(columns[0]) for c in columns):
        return []
    turns = [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
    return turns if all(map(is_turn, turns)) else []
