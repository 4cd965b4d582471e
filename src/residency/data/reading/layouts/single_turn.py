"""Rows of one question and one answer: ``alpaca``, ``prompt``, ``question``, ``input-output``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from residency.data.reading.clean_text import RowError, clean_text, is_missing, write_value
from residency.data.reading.conversations import list_unread_keys, read_messages
from residency.data.reading.layouts.layout import Layout, LayoutRow, RowFields
from residency.data.reading.marked_turns import read_marked_turns
from residency.data.reading.tool_calls import read_named_calls
from residency.nouns.example import Message
from residency.text.counts import write_count


class AlpacaLayout(Layout):
    """An instruction, its input, and the answer."""

    name = "alpaca"
    needs = ("instruction",)
    may = ("input", "response")
    also_reads = ("instances",)
    about = "`instruction`, `input`, and `response` or `output`; `instances` with one element"
    asks = True

    def fits_row(self, row: RowFields) -> bool:
        """The instruction is text."""
        return isinstance(row.value("instruction"), str)

    def read_row(self, row: RowFields) -> LayoutRow:
        """The instruction, else that of the settings; the input beside it."""
        content = row.text("instruction") or row.instruction
        extra = row.text("input")
        if not content.strip() and not extra.strip():
            known = row.column("instruction") in row.values
            raise RowError(
                "instruction and input are both empty"
                if known
                else row.describe_missing("instruction"),
                row.column("instruction"),
            )
        if not content.strip():
            content, extra = extra, ""
        answer = read_answer(row)
        if not answer and "instances" in row.values:
            extra, answer = _read_instance(row.values["instances"])
        return LayoutRow((Message("user", content, input=extra), *answer))


class PromptLayout(Layout):
    """A prompt and its completion, each text or a list of messages."""

    name = "prompt"
    needs = ("prompt",)
    may = ("response",)
    also_reads = ("reward_model",)
    about = (
        "`prompt` and `completion` (or another answer column), each text or a list of messages "
        "(TRL, verl)"
    )
    asks = True

    def fits_row(self, row: RowFields) -> bool:
        """The prompt is text, or a list of messages."""
        prompt = row.value("prompt")
        return isinstance(prompt, str) or (
            isinstance(prompt, list) and bool(prompt) and isinstance(prompt[0], Mapping)
        )

    def read_row(self, row: RowFields) -> LayoutRow:
        """The prompt's messages, then the completion's."""
        prompt = row.value("prompt")
        turns = read_marked_turns(row.text("prompt")) if isinstance(prompt, str) else ()
        if not turns and (isinstance(prompt, str) or is_missing(prompt)):
            messages: tuple[Message, ...] = (read_question(row, "prompt"),)
        else:
            messages = turns or read_messages(prompt, row.column("prompt"))
            if row.instruction and messages[0].role != "system":
                messages = (Message("system", row.instruction), *messages)
        return LayoutRow((*messages, *(_read_marked_answer(row, turns) or read_answer(row))))

    def unread_keys(self, row: RowFields) -> set[str]:
        """Keys inside the messages of prompt and completion."""
        return {
            f"{row.column(field)}[].{key}"
            for field in ("prompt", "response")
            for key in list_unread_keys(row.value(field))
        }


def _read_marked_answer(row: RowFields, prompt: tuple[Message, ...]) -> tuple[Message, ...]:
    """The turns of a completion that goes on in the marks of its prompt (``…<|im_end|>``); none where
    there are no marks, or a user speaks in it."""
    if not prompt or not isinstance(row.value("response"), str):
        return ()
    turns = read_marked_turns(row.text("prompt") + row.text("response"))
    answer = turns[len(prompt) :]
    if turns[: len(prompt)] != prompt or any(turn.role in ("user", "system") for turn in answer):
        return ()
    return answer


class QuestionLayout(Layout):
    """A question, perhaps with a context, and its answer."""

    name = "question"
    needs = ("question",)
    may = ("input", "response")
    about = "`question` (or `query`), `context`, and `answer` or `response`"
    asks = True

    def fits_row(self, row: RowFields) -> bool:
        """The question is text."""
        return isinstance(row.value("question"), str)

    def read_row(self, row: RowFields) -> LayoutRow:
        """Question and context, then the answer."""
        return LayoutRow((read_question(row, "question"), *read_answer(row)))


class InputOutputLayout(Layout):
    """Plain ``input`` and ``output``."""

    name = "input-output"
    needs = ("input", "response")
    may = ("definition",)
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "definition": ("definition", "task_definition")
    }
    about = (
        "`input` (text, messages, or a request with `messages`) and `output`, without an instruction, or "
        "with the `definition` of the task (Super-NaturalInstructions)"
    )

    def fits_row(self, row: RowFields) -> bool:
        """The input is text, or messages (OpenAI's evals, logs of requests)."""
        value = _read_request(row)
        return isinstance(value, str) or (isinstance(value, list) and _are_messages(value))

    def read_row(self, row: RowFields) -> LayoutRow:
        """The input, after the task's definition or the settings' instruction where there is one."""
        value = _read_request(row)
        if isinstance(value, list) and _are_messages(value):
            return LayoutRow((*read_messages(value, row.column("input")), *read_answer(row)))
        content = row.needed_text("input")
        instruction = row.text("definition") or row.instruction
        user = Message("user", instruction, input=content) if instruction else None
        return LayoutRow((user or Message("user", content), *read_answer(row)))


def _read_request(row: RowFields) -> Any:
    """What stands in ``input``; of a request its messages."""
    value = row.value("input")
    return value["messages"] if isinstance(value, Mapping) and "messages" in value else value


def read_question(row: RowFields, field: str) -> Message:
    """The user's turn of a row: a field's text, with its input and the settings' instruction.

    Raises:
        RowError: the field is empty or is not text.
    """
    content = row.needed_text(field)
    extra = row.text("input")
    if row.instruction:
        content, extra = row.instruction, f"{content}\n\n{extra}" if extra else content
    return Message("user", content, input=extra)


def read_answer(row: RowFields) -> tuple[Message, ...]:
    """The answer's turn, or several where the column holds messages; nothing where it is empty.

    Raises:
        RowError: it is neither text nor messages.
    """
    value = row.value("response")
    if isinstance(value, list | Mapping) and _are_messages(value):
        return read_messages(value, row.column("response"))
    if value is None and isinstance(scored := row.values.get("reward_model"), Mapping):
        value = scored.get("ground_truth")  # verl keeps the answer there
        text = (
            "" if is_missing(value) else clean_text(write_value(value), "reward_model.ground_truth")
        )
    elif (answers := _list_answers(value)) is not None:
        if len(answers) > 1:
            raise RowError(
                f"{write_count(len(answers), 'different answer')}; one is expected (the first of each row: --column "
                f"response={_name_first(value, row.column('response'))})",
                row.column("response"),
            )
        text = clean_text(answers[0], row.column("response")) if answers else ""
    else:
        text = row.text("response")
    if calls := _read_calls(row, text):
        return (Message("assistant", "", tool_calls=calls),)
    return (Message("assistant", text),) if text.strip() else ()


def _read_calls(row: RowFields, text: str) -> tuple[dict[str, Any], ...]:
    """An answer that is nothing but calls of the row's tools (xLAM); none where it is text."""
    if is_missing(row.value("tools")) or text.lstrip()[:1] not in ("[", "{"):
        return ()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    calls = value if isinstance(value, list) else [value]
    if not calls or not all(
        isinstance(c, dict) and {"name", "arguments"} == c.keys() for c in calls
    ):
        return ()
    return read_named_calls(calls, row.column("response"))


def _list_answers(value: Any) -> list[str] | None:
    """The different answers of a list of texts, or of SQuAD's ``{"text": […]}``; None for another
    value."""
    if isinstance(value, Mapping):
        value = value.get("text")
    if not isinstance(value, list) or not all(isinstance(answer, str) for answer in value):
        return None
    return list(dict.fromkeys(answer.strip() for answer in value if answer.strip()))


def _name_first(value: Any, column: str) -> str:
    """The path of the first of several answers."""
    return f"{column}.text.0" if isinstance(value, Mapping) else f"{column}.0"


def _are_messages(value: Any) -> bool:
    turns = value if isinstance(value, list) else [value]
    return bool(turns) and all(
        isinstance(turn, Mapping) and ("role" in turn or "from" in turn) for turn in turns
    )


def _read_instance(value: Any) -> tuple[str, tuple[Message, ...]]:
    """Input and answer of a self-instruct row, which lists them; only single ones are read."""
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], Mapping):
        raise RowError("one instance with input and output is expected", "instances")
    answer = clean_text(str(value[0].get("output") or ""), "instances[0].output")
    extra = clean_text(str(value[0].get("input") or ""), "instances[0].input")
    return extra, (Message("assistant", answer),) if answer.strip() else ()
