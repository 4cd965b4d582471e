"""Rows that hold a conversation: ``messages``, ``sharegpt``, ``segments``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from residency.data.reading.clean_text import RowError, clean_text
from residency.data.reading.conversations import list_unread_keys, read_messages
from residency.data.reading.layouts.layout import Layout, LayoutRow, RowFields
from residency.data.reading.learn_marks import follow_mark_lists, read_yes_or_no
from residency.files.turn_lists import list_column_turns
from residency.nouns.example import Message, Role


class MessagesLayout(Layout):
    """OpenAI's messages."""

    name = "messages"
    needs = ("messages",)
    about = "OpenAI's `messages` and `tools`; tool calls, reasoning and content parts of type text are kept"

    field: ClassVar[str] = "messages"

    def fits_row(self, row: RowFields) -> bool:
        """A list of turns, or the JSON text of one."""
        value = row.value(self.field)
        if isinstance(value, str):
            return value.lstrip()[:1] in ("[", "{")
        if isinstance(value, Mapping):
            return bool(list_column_turns(value))
        return isinstance(value, list) and not any(isinstance(turn, str) for turn in value)

    def read_row(self, row: RowFields) -> LayoutRow:
        """The messages, after the settings' instruction where they bring no system message."""
        messages = read_messages(row.value(self.field), row.column(self.field))
        messages = follow_mark_lists(messages, row.values)
        if row.instruction and messages[0].role != "system":
            messages = (Message("system", row.instruction), *messages)
        return LayoutRow(messages)

    def unread_keys(self, row: RowFields) -> set[str]:
        """Keys inside the messages."""
        keys = list_unread_keys(row.value(self.field))
        return {f"{row.column(self.field)}[].{key}" for key in keys}


class ShareGPTLayout(MessagesLayout):
    """ShareGPT's conversations."""

    name = "sharegpt"
    needs = ("conversations",)
    about = "`conversations` with `from` and `value`, and `tools`; function calls and observations are read too"
    field = "conversations"


class SegmentsLayout(Layout):
    """axolotl's ``segments``: pieces of text, each learned or not.

    Pieces that are not learned become the user's turns, learned ones the assistant's; the chat
    template writes the marks between them. BOS and EOS marks at their ends are left out.
    """

    name = "segments"
    needs = ("segments",)
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {"segments": ("segments",)}
    about = "axolotl's `segments` with `text` and `label`: trained pieces become answers, the others prompts"

    _ENDS = re.compile(r"^<s>|</s>$")

    def fits_row(self, row: RowFields) -> bool:
        """A list of pieces."""
        return isinstance(row.value("segments"), list)

    def read_row(self, row: RowFields) -> LayoutRow:
        """One turn for each run of pieces that are alike."""
        field = row.column("segments")
        turns: list[Message] = []
        for number, piece in enumerate(row.value("segments")):
            piece_field = f"{field}[{number}]"
            learned = read_yes_or_no(piece.get("label")) if isinstance(piece, Mapping) else None
            if learned is None or not isinstance(piece.get("text"), str):
                raise RowError("a text and a label of true or false are expected", piece_field)
            text = self._ENDS.sub("", clean_text(piece["text"].strip(), piece_field)).strip()
            role: Role = "assistant" if learned else "user"
            if turns and turns[-1].role == role:
                text = f"{turns.pop().content}\n{text}"
            turns.append(Message(role, text))
        if not turns:
            raise RowError("the field is empty", field)
        return LayoutRow(tuple(turns))
