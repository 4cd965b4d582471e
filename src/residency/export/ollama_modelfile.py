"""A Modelfile for Ollama: its template language is another one, so the chat template is written anew.

The texts around system, user and assistant messages are read off the chat template by rendering
a few conversations; the new template is then tried on others, and refused where it would ask
anything else than the model was trained on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from residency.chat.chat_format import ChatFormat
from residency.errors import ModelError
from residency.export.file_template import divides_input
from residency.nouns.example import Message

_SYSTEM, _USER, _ANSWER, _SECOND = "Sysprobe4.", "Userprobe5.", "Answerprobe6.", "Secondprobe7."


@dataclass(frozen=True)
class TurnTexts:
    """The texts around messages.

    Attributes:
        start: before the first turn where there is no system message (a default one, perhaps).
        system, user, assistant: before and after a message. opening: what asks for an answer.
    """

    start: str
    system: tuple[str, str]
    user: tuple[str, str]
    assistant: tuple[str, str]
    opening: str

    def write(self, messages: Sequence[Message]) -> str:
        """A prompt, as Ollama writes it."""
        text = "" if messages[0].role == "system" else self.start
        around = {"system": self.system, "user": self.user, "assistant": self.assistant}
        for message in messages:
            before, after = around[message.role]
            text += before + message.text + after
        return text + self.opening


def read_turn_texts(chat: ChatFormat) -> TurnTexts:
    """The texts around messages, tried on other conversations.

    Raises:
        ModelError: the template cannot be written for Ollama.
    """
    if divides_input(chat.template):
        raise _cannot_write("it writes an instruction and its input under headings of their own")
    bos = chat.pieces(chat.prompt_ids([]), [False])[0][0] if chat.prompt_ids([]) else ""

    def render(*messages: Message) -> str:
        text = chat.render(messages, prompt=True)
        return text.removeprefix(bos) if chat.adds_bos else text  # Ollama writes it itself

    system, user = Message("system", _SYSTEM), Message("user", _USER)
    answer, second = Message("assistant", _ANSWER), Message("user", _SECOND)
    try:
        one = render(user)
        more = render(user, answer, second)
        head, _, rest = more.partition(_USER)
        middle, _, tail = rest.partition(_ANSWER)
        between, _, opening = tail.partition(_SECOND)
        texts = _split_texts(one, head, middle, between, opening)
        if chat.writes_system:
            before, _, after = render(system, user).partition(_SYSTEM)
            texts = _add_system(texts, before, after)
    except ValueError as error:
        raise _cannot_write(str(error)) from None
    trials = [
        (Message("user", "What is 2 + 2?"),),
        (Message("user", "Hi"), Message("assistant", "Yes?"), Message("user", "Tell me more")),
    ]
    if chat.writes_system:
        trials += [(Message("system", "Be brief."), *trial) for trial in trials]
    for trial in trials:
        if texts.write(trial) != render(*trial):
            raise _cannot_write("it treats turns by their place in the conversation")
    return texts


def _split_texts(one: str, head: str, middle: str, between: str, opening: str) -> TurnTexts:
    """Where the text between two turns belongs to the first and where to the second."""
    if not one.endswith(opening) or not one.startswith(head):
        raise ValueError("the first and the last user message are written differently")
    after_user = middle.removesuffix(_common_end(middle, opening))
    assistant_before = middle.removeprefix(after_user)
    user_before = _common_end(head, between)
    return TurnTexts(
        start=head.removesuffix(user_before),
        system=("", ""),
        user=(user_before, after_user),
        assistant=(assistant_before, between.removesuffix(user_before)),
        opening=opening.removeprefix(after_user),
    )


def _add_system(texts: TurnTexts, before: str, after: str) -> TurnTexts:
    end = after.find(texts.user[0] + _USER)
    if end < 0:
        raise ValueError("a system message changes the first user message")
    return TurnTexts(texts.start, (before, after[:end]), texts.user, texts.assistant, texts.opening)


def _common_end(left: str, right: str) -> str:
    size = 0
    while size < min(len(left), len(right)) and left[-size - 1] == right[-size - 1]:
        size += 1
    return left[len(left) - size :]


def _cannot_write(reason: str) -> ModelError:
    return ModelError(
        f"this chat template cannot be written for Ollama: {reason}",
        next_step="use --format gguf with llama.cpp's own server, which reads the template itself",
    )


def write_modelfile(chat: ChatFormat, file: str, *, context: int, stops: Sequence[str] = ()) -> str:
    """The text of a Modelfile beside a GGUF file; ``stops``: strings that end an answer too.

    Raises:
        ModelError: the template cannot be written for Ollama.
    """
    texts = read_turn_texts(chat)
    roles: list[str] = []
    for role in ("system", "user", "assistant"):
        before, after = getattr(texts, role)
        if role != "system" or chat.writes_system:
            word = "if" if not roles else "else if"
            roles.append(
                f'{{{{- {word} eq .Role "{role}" }}}}{_quote(before)}{{{{ .Content }}}}{_quote(after)}'
            )
    start = f"{{{{- if not .System }}}}{_quote(texts.start)}{{{{- end }}}}" if texts.start else ""
    template = (
        start
        + "{{- range .Messages }}"
        + "".join(roles)
        + "{{- end }}{{- end }}"
        + _quote(texts.opening)
    )
    ends = [text for text, _ in (chat.pieces([end], [True])[0] for end in chat.end_ids)]
    lines = [f"FROM ./{file}", f'TEMPLATE """{template}"""']
    lines += [
        f"PARAMETER stop {json.dumps(stop, ensure_ascii=False)}"
        for stop in dict.fromkeys([*ends, *chat.stop, *stops])
    ]
    lines += ["PARAMETER temperature 0", f"PARAMETER num_ctx {context}"]
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    """A text as a Go string inside the template, so that no white space is trimmed."""
    if not text:
        return ""
    escaped = (
        text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    )
    return f'{{{{ "{escaped}" }}}}'
