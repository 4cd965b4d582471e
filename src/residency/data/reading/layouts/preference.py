"""Rows of two answers to one prompt: ``preference``."""

from __future__ import annotations

from typing import Any

from residency.data.reading.clean_text import RowError, clean_text
from residency.data.reading.conversations import list_unread_keys, read_messages
from residency.data.reading.layouts.layout import Layout, LayoutRow, RowFields
from residency.data.reading.layouts.single_turn import read_question
from residency.nouns.example import Message


class PreferenceLayout(Layout):
    """A better and a worse answer, with a prompt beside them or within."""

    name = "preference"
    needs = ("chosen", "rejected")
    may = ("prompt", "question", "instruction", "input", "messages", "conversations")
    about = "`chosen` and `rejected`, with a prompt beside them or within"

    def read_row(self, row: RowFields) -> LayoutRow:
        """The prompt and the better answer; the worse one apart."""
        prompt = self._read_prompt(row)
        chosen = _read_side(row.value("chosen"), row.column("chosen"))
        rejected = _read_side(row.value("rejected"), row.column("rejected"))
        if len(chosen) > 1 or len(rejected) > 1:  # whole conversations on both sides
            if chosen[:-1] != rejected[:-1]:
                raise RowError(
                    "chosen and rejected answer different prompts", row.column("rejected")
                )
            if not prompt or len(chosen) > len(prompt):
                prompt = chosen[:-1]
        if not prompt:
            raise RowError("no prompt for the two answers", row.column("chosen"))
        if chosen[-1].content == rejected[-1].content:
            raise RowError("chosen and rejected are the same", row.column("rejected"))
        return LayoutRow((*prompt, chosen[-1]), rejected[-1].content)

    def unread_keys(self, row: RowFields) -> set[str]:
        """Keys inside the messages of prompt and answers."""
        return {
            f"{row.column(field)}[].{key}"
            for field in ("chosen", "rejected", "messages", "conversations", "prompt")
            for key in list_unread_keys(row.value(field))
        }

    def _read_prompt(self, row: RowFields) -> tuple[Message, ...]:
        for field in ("messages", "conversations"):
            if row.value(field):
                return read_messages(row.value(field), row.column(field))
        for field in ("instruction", "prompt", "question"):
            value = row.value(field)
            if isinstance(value, list) and value:
                return read_messages(value, row.column(field))
            if row.text(field):
                return (read_question(row, field),)
        return ()


def _read_side(value: Any, field: str) -> tuple[Message, ...]:
    if isinstance(value, str):
        messages: tuple[Message, ...] = (Message("assistant", clean_text(value, field)),)
    else:
        messages = read_messages(value, field)
    if messages[-1].role != "assistant" or not messages[-1].content.strip():
        raise RowError("no assistant answer at the end", field)
    return messages
