"""Rows of text: raw (``text``), a written-out chat (``chat-text``), or with a class (``text-label``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from residency.data.reading.clean_text import RowError, clean_text, is_missing, write_value
from residency.data.reading.layouts.layout import Layout, LayoutRow, RowFields
from residency.data.reading.layouts.single_turn import read_answer
from residency.data.reading.marked_turns import read_marked_turns
from residency.nouns.example import Message


class TextLayout(Layout):
    """Raw text; with ``split_at`` a prompt and its answer within one text."""

    name = "text"
    needs = ("text",)
    may = ("response",)
    about = (
        "`text` alone: raw text. Plain text files are divided at paragraphs into pieces of about 2000 characters. "
        "With `--split-at MARK` the text up to the mark is the prompt, and the rest the answer"
    )

    def fits_row(self, row: RowFields) -> bool:
        """It is text."""
        return isinstance(row.value("text"), str)

    def read_row(self, row: RowFields) -> LayoutRow:
        """One assistant message of raw text; a user's turn where an answer or instruction is named."""
        text = row.needed_text("text")
        if not text.strip():
            raise RowError("the text is empty", row.column("text"))
        answer = read_answer(row)
        if row.split_at and not answer:
            prompt, reply = divide_text(text, row.split_at, row.column("text"))
            text, answer = prompt, (Message("assistant", reply),)
        if answer or row.instruction:
            user = (
                Message("user", row.instruction, input=text)
                if row.instruction
                else Message("user", text)
            )
            return LayoutRow((user, *answer))
        return LayoutRow((Message("assistant", text),))


class ChatTextLayout(Layout):
    """A conversation written out as one text; the template writes the marks anew."""

    name = "chat-text"
    needs = ("text",)
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "text": (
            "text",
            "content",
            "chat",
            "conversation",
            "dialogue",
            "dialog",
            "transcript",
            "plain_text",
        )
    }
    about = (
        "`text` (or `chat`, `conversation`, `dialogue`) that begins with a mark of a chat template (`### Human:`, ChatML, `[INST]`, harmony, …): it is divided into turns, without "
        'the marks; `--split-at` or `format = "text"` reads it as raw text'
    )
    asks = True

    def fits_row(self, row: RowFields) -> bool:
        """The text has a question and an answer between marks."""
        text = row.value("text")
        return isinstance(text, str) and any(
            turn.role == "assistant" for turn in read_marked_turns(text)
        )

    def read_row(self, row: RowFields) -> LayoutRow:
        """The turns, after the settings' instruction where there is no system turn."""
        turns = read_marked_turns(row.needed_text("text"))
        if not turns:
            raise RowError("no mark of a turn at the beginning", row.column("text"))
        if row.instruction and turns[0].role != "system":
            turns = (Message("system", row.instruction), *turns)
        return LayoutRow(turns)


class TextLabelLayout(Layout):
    """A text and its class: the text is the prompt, the class the answer."""

    name = "text-label"
    needs = ("text", "class")
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {"class": ("label",)}
    about = "`text` and `label` (or text and one other column): the class is the answer"

    def fits_row(self, row: RowFields) -> bool:
        """Text, and a class that is one value."""
        label = row.value("class")
        if isinstance(label, list) and len(label) == 1:  # doccano's
            label = label[0]
        return isinstance(row.value("text"), str) and isinstance(label, str | int | float)

    def read_row(self, row: RowFields) -> LayoutRow:
        """The text, after the settings' instruction where there is one; then the class."""
        text = row.needed_text("text")
        user = Message("user", row.instruction, input=text) if row.instruction else None
        value = row.value("class")
        if isinstance(value, list) and len(value) == 1:
            label = clean_text(write_value(value[0]), row.column("class"))
        else:
            label = "" if is_missing(value) else row.text("class")
        answer = (Message("assistant", label),) if label.strip() else ()
        return LayoutRow((user or Message("user", text), *answer))


def divide_text(text: str, mark: str, field: str) -> tuple[str, str]:
    """Prompt and answer of a text: before and after the mark, which is left out.

    Of a mark that begins a line the last one divides (earlier ones belong to examples in the
    prompt), of any other the first.

    Raises:
        RowError: the mark is not there, or one side is empty.
    """
    position = text.rfind(mark) if mark.startswith("\n") else text.find(mark)
    if position < 0:
        raise RowError(f"the mark {mark!r} is not in the text", field)
    prompt, answer = text[:position].strip(), text[position + len(mark) :].strip()
    if not prompt or not answer:
        side = "before" if not prompt else "after"
        raise RowError(f"nothing stands {side} the mark {mark!r}", field)
    return prompt, answer
