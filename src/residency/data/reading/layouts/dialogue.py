"""Conversations whose turns name no speaker, or keep questions and answers in lists apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from residency.data.reading.clean_text import RowError, clean_text
from residency.data.reading.conversations import list_unread_keys
from residency.data.reading.layouts.layout import Layout, LayoutRow, RowFields
from residency.data.reading.learn_marks import follow_mark_lists
from residency.files.turn_lists import ASSISTANT_KEYS, SPEAKER_KEYS, USER_KEYS, WORDS_KEYS
from residency.nouns.example import Message, Role

IN_TURN = "the turns name no speaker: the first was read as the user's, then in turn"


_SPEAKER = re.compile(r"user|bot|speak|role|agent|author|sender|who|party|actor|participant")
"""Within names of keys that say who speaks in a way that is not known (``is_user``, ``speaker_idx``)."""


class DialogueLayout(Layout):
    """Turns without speakers: DailyDialog's, EmpatheticDialogues', PersonaChat's."""

    name = "dialogue"
    needs = ("dialog",)
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "dialog": ("dialog", "dialogue", "utterances", "dialog_turns", "dialogue_turns", "conversation", "data")
    }  # fmt: skip
    about = (
        "`dialog`, `dialogue` or `utterances`: a list of turns without speakers; or a text file with one dialogue on each line, where `__eou__` ends a turn (DailyDialog). "
        "The turns belong to the user and the assistant alternately"
    )

    def fits_row(self, row: RowFields) -> bool:
        """A list of two turns or more, of words alone."""
        turns = row.value("dialog")
        return (
            isinstance(turns, list)
            and len(turns) > 1
            and all(_find_words(turn) is not None for turn in turns)
        )

    def read_row(self, row: RowFields) -> LayoutRow:
        """The turns, the first one the user's."""
        column = row.column("dialog")
        turns = row.value("dialog")
        if not isinstance(turns, list):
            raise RowError("a list of turns is expected", column)
        messages: list[Message] = []
        for number, turn in enumerate(turns):
            words = _find_words(turn)
            if words is None:
                raise RowError("a turn of words alone is expected", f"{column}[{number}]")
            role: Role = "assistant" if number % 2 else "user"
            messages.append(Message(role, clean_text(words.strip(), f"{column}[{number}]")))
        talk = follow_mark_lists(tuple(messages), row.values)
        if row.instruction:
            talk = (Message("system", row.instruction), *talk)
        return LayoutRow(talk, left_out=(IN_TURN,))

    def unread_keys(self, row: RowFields) -> set[str]:
        """Keys inside the turns."""
        return {f"{row.column('dialog')}[].{key}" for key in list_unread_keys(row.value("dialog"))}


def _find_words(turn: Any) -> str | None:
    """The words of a turn that says nothing of who speaks; None for anything else."""
    if isinstance(turn, str):
        return turn
    if not isinstance(turn, Mapping):
        return None
    keys = {str(key).strip().lower(): value for key, value in turn.items()}
    if keys.keys() & {*SPEAKER_KEYS, *USER_KEYS, *ASSISTANT_KEYS, "type", "tool_calls"}:
        return None
    if any(_SPEAKER.search(key) for key in keys):
        return None
    words = next((keys[name] for name in WORDS_KEYS if name in keys), None)
    return words if isinstance(words, str) else None


class QuestionListLayout(Layout):
    """Questions about one text and their answers, in two lists: CoQA's and QuAC's."""

    name = "question-list"
    needs = ("questions", "answers")
    may = ("story",)
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "questions": ("questions",),
        "answers": ("answers",),
        "story": ("story", "context", "passage", "paragraph"),
    }
    about = (
        "`questions` and `answers`, two lists of the same length, about a `story` or `context` (CoQA, QuAC): "
        "they become a conversation, with the text before the first question"
    )
    asks = True

    def fits_row(self, row: RowFields) -> bool:
        """Two lists of texts."""
        return bool(_list_texts(row.value("questions"))) and bool(_list_texts(row.value("answers")))

    def read_row(self, row: RowFields) -> LayoutRow:
        """Each question with its answer, the text before the first."""
        questions, answers = (_list_texts(row.value(name)) for name in ("questions", "answers"))
        if not questions or len(questions) != len(answers):
            raise RowError(
                f"as many answers as questions are expected, found {len(answers)} for {len(questions)}",
                row.column("answers"),
            )
        story = row.text("story")
        messages: list[Message] = []
        for question, answer in zip(questions, answers, strict=True):
            text = clean_text(question, row.column("questions"))
            first = Message("user", text, input=story) if not messages and story else None
            messages.append(first or Message("user", text))
            messages.append(Message("assistant", clean_text(answer, row.column("answers"))))
        talk = follow_mark_lists(tuple(messages), row.values)
        if row.instruction:
            talk = (Message("system", row.instruction), *talk)
        return LayoutRow(talk)


def _list_texts(value: Any) -> list[str]:
    """The texts of a list, whatever objects hold them; empty where one is none."""
    names = ("input_text", "text", "texts", "question", "answer")
    if isinstance(value, Mapping):  # a list for each field, as Hugging Face's libraries write them
        value = next((value[name] for name in names if isinstance(value.get(name), list)), None)
    texts: list[str] = []
    for item in value if isinstance(value, list) else ():
        text = item
        if isinstance(text, Mapping):
            text = next((text[name] for name in names if name in text), None)
        if isinstance(text, list):  # several people's answers: the first
            text = next(iter(text), None)
        if not isinstance(text, str):
            return []
        texts.append(text)
    return texts


class MossLayout(Layout):
    """MOSS's conversations: numbered turns, each part between marks."""

    name = "moss"
    needs = ("chat",)
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {"chat": ("chat",)}
    also_reads = ("meta_instruction",)
    about = "MOSS's `chat` of `turn_1`, `turn_2`, … with `Human` and `MOSS`; turns that call tools are refused"

    _MARKS = re.compile(r"^\s*<\|[A-Za-z ]+\|>: ?|<eo[a-z]>\s*$")

    def fits_row(self, row: RowFields) -> bool:
        """Numbered turns with both sides."""
        chat = row.value("chat")
        return isinstance(chat, Mapping) and any(
            isinstance(turn, Mapping) and {"Human", "MOSS"} <= turn.keys() for turn in chat.values()
        )

    def read_row(self, row: RowFields) -> LayoutRow:
        """The turns in the order of their numbers, without the marks."""
        chat = row.value("chat")
        messages: list[Message] = []
        system = self._read_part(row.values, "meta_instruction", "meta_instruction")
        if system or row.instruction:
            messages.append(Message("system", row.instruction or system))
        for name in sorted(chat, key=_read_number):
            field = f"{row.column('chat')}.{name}"
            turn = chat[name]
            if not isinstance(turn, Mapping):
                raise RowError("a turn of Human and MOSS is expected", field)
            if self._read_part(turn, "Commands", field) not in ("", "None"):
                raise RowError("the turn calls MOSS's own tools, whose form no template has", field)
            thought = self._read_part(turn, "Inner Thoughts", field)
            messages += [
                Message("user", self._read_part(turn, "Human", field)),
                Message(
                    "assistant",
                    self._read_part(turn, "MOSS", field),
                    thinking="" if thought == "None" else thought,
                ),
            ]
        return LayoutRow(tuple(messages))

    def _read_part(self, values: Mapping[Any, Any], name: str, field: str) -> str:
        value = values.get(name)
        return (
            clean_text(self._MARKS.sub("", value).strip(), field) if isinstance(value, str) else ""
        )


def _read_number(name: Any) -> tuple[int, str]:
    digits = re.search(r"\d+$", str(name))
    return (int(digits[0]) if digits else 0, str(name))
