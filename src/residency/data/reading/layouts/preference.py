"""Rows of two answers to one prompt: ``preference``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from residency.data.reading.answer_marks import read_answer_mark
from residency.data.reading.clean_text import RowError, clean_text
from residency.data.reading.conversations import list_unread_keys, read_messages, with_tools
from residency.data.reading.layouts.layout import COLUMNS, Layout, LayoutRow, RowFields
from residency.data.reading.layouts.single_turn import read_question
from residency.data.reading.marked_turns import read_marked_turns
from residency.data.reading.tool_calls import read_tools
from residency.nouns.example import Message

PROMPT_FIELDS = ("prompt", "question", "instruction", "input", "messages", "conversations")
"""Where the prompt of two answers may stand."""


PARTED = "the two conversations part before their last answers: the better one is trained whole, without a pair"


class PreferenceLayout(Layout):
    """A better and a worse answer, with a prompt beside them or within."""

    name = "preference"
    needs = ("chosen", "rejected")
    may = PROMPT_FIELDS
    about = "`chosen` and `rejected`, with the prompt in a column of its own or inside both"

    def read_row(self, row: RowFields) -> LayoutRow:
        """The prompt and the better answer; the worse one apart."""
        columns = (row.column("chosen"), row.column("rejected"))
        better = row.value("chosen")
        field = "text" if isinstance(better, str) else "messages"
        step = f"; to train the better ones alone: --column {field}={shlex.quote(columns[0])}"
        return pair_answers(read_prompt(row), better, row.value("rejected"), columns, step)

    def unread_keys(self, row: RowFields) -> set[str]:
        """Keys inside the messages of prompt and answers."""
        return {
            f"{row.column(field)}[].{key}"
            for field in ("chosen", "rejected", "messages", "conversations", "prompt")
            for key in list_unread_keys(row.value(field))
        }


class WorseAnswerLayout(Layout):
    """A row with its answer, and a worse one beside it."""

    name = "worse-answer"
    needs = ("rejected",)
    may = ("response", *PROMPT_FIELDS)
    about = (
        "`messages` (or a prompt and `response`) and `rejected_response` or `rejected_messages`: the "
        "last answer and a worse one (ms-swift)"
    )

    def fits_row(self, row: RowFields) -> bool:
        """A worse answer and a better one; a mark of yes and no is none."""
        worse = row.value("rejected")
        if (
            not isinstance(worse, str | list)
            or not worse
            or read_answer_mark(worse, "") is not None
        ):
            return False
        if any(str(key).strip().lower() in COLUMNS["chosen"] for key in row.values):
            return False  # a pair already, of which the user wants the better side
        talk = row.value("messages") or row.value("conversations")
        return bool(isinstance(talk, list) and talk) or isinstance(row.value("response"), str)

    def read_row(self, row: RowFields) -> LayoutRow:
        """The prompt and the row's answer; the worse one apart."""
        columns = (row.column("response"), row.column("rejected"))
        prompt, worse = read_prompt(row), row.value("rejected")
        if not isinstance(row.value("messages") or row.value("conversations"), list):
            return pair_answers(prompt, row.value("response"), worse, columns)
        if not prompt or prompt[-1].role != "assistant":
            raise RowError("no assistant answer at the end", row.column("messages"))
        whole = isinstance(worse, list) and len(worse) > 1
        better = [message.to_dict() for message in (prompt if whole else prompt[-1:])]
        return pair_answers(prompt[:-1], better, worse, columns)


def pair_answers(
    prompt: tuple[Message, ...],
    better: Any,
    worse: Any,
    columns: tuple[str, str],
    step: str = "",
) -> LayoutRow:
    """A prompt with its better answer; the worse one apart.

    Args:
        better, worse: texts, messages, or whole conversations. columns: where they stand.
        step: what to do with conversations that are no pair of answers.

    Raises:
        RowError: there is no prompt, or the two are no answers to the same one.
    """
    chosen, rejected = _read_side(better, columns[0]), _read_side(worse, columns[1])
    if prompt and prompt[-1].role == "assistant":
        prompt = _drop_answer(prompt, chosen, rejected)
    if len(chosen) > 1 or len(rejected) > 1:  # whole conversations on both sides
        if chosen[:-1] != rejected[:-1]:
            if not prompt and _begin_alike(chosen, rejected):
                return LayoutRow(chosen, left_out=(PARTED,))
            both = " and ".join(dict.fromkeys(columns))
            raise RowError(
                f"{both} answer different prompts: the conversations part before their last answers{step}",
                columns[1],
            )
        if not prompt or len(chosen) > len(prompt):
            prompt = chosen[:-1]
    if not prompt:
        raise RowError("no prompt for the two answers", columns[0])
    if rejected[-1].thinking:  # the better answer alone would keep its reasoning
        raise RowError(
            "the worse answer's reasoning cannot be kept apart: write it into its content as "
            "<think>…</think>, or leave it out of both answers",
            columns[1],
        )
    if chosen[-1].content == rejected[-1].content:
        both = " and ".join(dict.fromkeys(columns))
        raise RowError(f"{both} are the same", columns[1])
    return LayoutRow((*prompt, chosen[-1]), rejected[-1].content)


def read_prompt(row: RowFields) -> tuple[Message, ...]:
    """The messages before a pair's answers; none where they stand within the answers."""
    for field in ("messages", "conversations"):
        if isinstance(row.value(field), list | str) and row.value(field):
            return read_messages(row.value(field), row.column(field))
    for field in ("instruction", "prompt", "question"):
        value = row.value(field)
        if isinstance(value, list) and value:
            return read_messages(value, row.column(field))
        if isinstance(value, str) and (turns := read_marked_turns(value)):
            return turns
        if row.text(field):
            return (read_question(row, field),)
    request = row.value("input")
    if isinstance(request, list) and request:  # HelpSteer's context
        return read_messages(request, row.column("input"))
    if isinstance(request, Mapping) and "messages" in request:  # OpenAI's files for DPO
        messages = read_messages(request["messages"], f"{row.column('input')}.messages")
        return with_tools(
            messages, read_tools(request.get("tools"), f"{row.column('input')}.tools")
        )
    return ()


def _begin_alike(chosen: tuple[Message, ...], rejected: tuple[Message, ...]) -> bool:
    """Whether two conversations begin with the same question, after which the answers differ."""
    for one, other in zip(chosen, rejected, strict=False):
        if one != other:
            return one.role == other.role == "assistant"
    return False


def _drop_answer(
    prompt: tuple[Message, ...], chosen: tuple[Message, ...], rejected: tuple[Message, ...]
) -> tuple[Message, ...]:
    """The prompt without one of the two answers at its end, which some files repeat there."""
    answers = {chosen[-1].content, rejected[-1].content}
    return prompt[:-1] if prompt[-1].content in answers else prompt


def _read_side(value: Any, field: str) -> tuple[Message, ...]:
    if isinstance(value, str):
        turns = read_marked_turns(clean_text(value, field))
        messages = turns or (Message("assistant", value),)
    else:
        messages = read_messages(value, field)
    if messages[-1].tool_calls:
        raise RowError("an answer that calls a tool cannot be compared with another", field)
    if messages[-1].role != "assistant" or not messages[-1].content.strip():
        raise RowError("no assistant answer at the end", field)
    return messages
