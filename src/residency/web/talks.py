"""Conversations with two models side by side: who said what, and what is being written."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from residency.commands.chat import chat
from residency.errors import ResidencyError, UserError
from residency.nouns.example import Message
from residency.project.named_models import find_model, label_model
from residency.project.workspace import Workspace
from residency.web.open_projects import OpenProjects

Side = Literal["a", "b"]
SIDES: tuple[Side, ...] = ("a", "b")
MOST_TALKS = 50
"""Conversations that are remembered; the oldest go first."""


@dataclass
class TalkAnswer:
    """One model's answer to one message, as far as it is written."""

    model: str
    label: str = ""
    weights: str = ""
    text: str = ""
    done: bool = False
    error: str = ""


@dataclass
class Turn:
    """A person's message and the answers to it, by side."""

    message: str
    answers: dict[Side, TalkAnswer]


@dataclass
class Talk:
    """A conversation of one project with one model or two."""

    root: Path
    turns: list[Turn] = field(default_factory=list)

    def messages(self, number: int, side: Side) -> tuple[Message, ...]:
        """What a side had heard and said before its answer of a turn, that turn's message last."""
        out = []
        for turn in self.turns[:number]:
            if side in turn.answers:
                out.append(Message("user", turn.message))
                out.append(Message("assistant", turn.answers[side].text))
        return (*out, Message("user", self.turns[number].message))


class Talks:
    """The conversations of a site. Answers are written by a thread, one side after the other."""

    def __init__(self, projects: OpenProjects) -> None:
        self._projects = projects
        self._talks: dict[str, Talk] = {}
        self._lock = threading.Lock()

    def find(self, key: str, root: Path) -> Talk:
        """A conversation by its key.

        Raises:
            UserError: it was forgotten, or belongs to another project.
        """
        talk = self._talks.get(key)
        if talk is None or talk.root != root:
            raise UserError(
                "this conversation is forgotten: the server was started again",
                next_step="load the page and begin anew",
            )
        return talk

    def list_turns(self, key: str, root: Path) -> list[Turn]:
        """What was said in a conversation; nothing where it is forgotten or not yet begun."""
        talk = self._talks.get(key)
        return talk.turns if talk is not None and talk.root == root else []

    def find_answer(self, key: str, root: Path, number: int, side: str) -> tuple[Talk, TalkAnswer]:
        """One answer of a conversation. Raises as ``find``, and where there is no such answer."""
        talk = self.find(key, root)
        for known in SIDES:
            if known == side and 0 <= number < len(talk.turns):
                answers = talk.turns[number].answers
                if known in answers:
                    return talk, answers[known]
        raise UserError("there is no such answer", next_step="load the page again")

    def say(self, key: str, root: Path, message: str, models: Sequence[str]) -> int:
        """Add a message to a conversation, begun where there is none; the turn's number."""
        with self._lock:
            talk = self._talks.get(key)
            if talk is None or talk.root != root:
                while len(self._talks) >= MOST_TALKS:
                    self._talks.pop(next(iter(self._talks)))
                talk = self._talks[key] = Talk(root)
            if talk.turns and not all(
                model_answer.done for model_answer in talk.turns[-1].answers.values()
            ):
                raise UserError(
                    "the last message is still being answered", next_step="wait for its end"
                )
            answers = {side: TalkAnswer(model) for side, model in zip(SIDES, models, strict=False)}
            talk.turns.append(Turn(message, answers))
            number = len(talk.turns) - 1
        threading.Thread(target=self._answer, args=(talk, number), daemon=True).start()
        return number

    def _answer(self, talk: Talk, number: int) -> None:
        for side, model_answer in talk.turns[number].answers.items():
            try:
                with self._projects.use(talk.root) as ws:
                    write_answer(ws, model_answer, talk.messages(number, side))
            except ResidencyError as error:
                model_answer.error = f"{error.what}. {error.next_step}".strip()
            except Exception as error:  # whatever a model or its files do, the page says it
                model_answer.error = f"the model cannot answer: {type(error).__name__}"
            finally:
                model_answer.done = True


def write_answer(ws: Workspace, model_answer: TalkAnswer, messages: Sequence[Message]) -> None:
    """Let a model write its answer, piece by piece, and say which weights wrote it."""
    model = find_model(ws, model_answer.model)
    model_answer.label = label_model(model)
    model_answer.weights = model.adapter or ws.base.identity
    for piece in chat(ws, messages, model.id):
        model_answer.text += piece
