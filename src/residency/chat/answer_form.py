"""How a chat template writes an answer, learnt from minimal exchanges.

Three things are learned: what stands after an answer and which token ends it; what a template
that writes no end token puts before the next turn (GLM-4: that token ends the answer, as it does in
the model's training); how an answer goes on after a prompt that opens a block of thinking
which the template takes out of the conversation again (DeepSeek-R1's distillations); and whether the
prompt has closed an empty block of thinking already, so that no thinking can follow it (Qwen3.5).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from residency.errors import TemplateError
from residency.nouns.example import Message

_QUESTION = Message("user", "Hello")
_ANSWERS = ("Probe.", "Quite another 7")
_CALL = {"type": "function", "function": {"name": "probe", "arguments": {"a": 1}}}
_OPENS_THINKING = re.compile(r"<think>\s*$")
USUAL_CLOSE = "\n</think>\n\n"
"""How a block of thinking ends where the template never writes one (as the models write it)."""

NAME_TEMPLATE = "name a template in residency.toml ([model] template)"


@dataclass(frozen=True)
class Ending:
    """What stands after an answer: ``text[:end]`` ends with the end token ``id``."""

    text: str
    end: int
    id: int
    before: str = ""
    """What it writes between the prompt and the answer (a space, an empty think block)."""


@dataclass(frozen=True)
class AnswerForm:
    """How answers are written.

    Attributes:
        endings: what stands after an answer; the first one after a plain answer.
        added_end: text of the end token that we write after the last answer, because the template
            writes none. added_call_end: the same after a call of a tool. closes_at_end: it is the
            tokenizer's EOS, which stands where the template's line ends would, and after the last
            answer alone: earlier ones are context.
        close_thinking: what lies between thinking and answer, where the prompt opens the thinking
            and the template does not write it so. Empty for all other templates.
        answers_without_thinking: the prompt asks for an answer without thinking (it closes an empty
            block), so a thinking that the template writes there is no answer to that prompt.
    """

    endings: tuple[Ending, ...]
    added_end: str = ""
    added_call_end: str = ""
    close_thinking: str = ""
    answers_without_thinking: bool = False
    closes_at_end: bool = False
    notes: tuple[str, ...] = field(default=())

    def finish_conversation(self, text: str, last: Message) -> str:
        """A rendered conversation with the end token that its template leaves out."""
        if self.closes_at_end:
            return text.rstrip() + self.added_end
        return text + (self.added_call_end if last.tool_calls else self.added_end)

    def write_answer(self, prompt: str, thinking: str, content: str) -> str:
        """Prompt and answer after a prompt that opens the thinking."""
        inner, content = _split_thinking(content)
        thinking = thinking or inner
        return (
            prompt
            + thinking.strip("\n")
            + self.close_thinking
            + content.lstrip("\n")
            + self.endings[0].text
        )

    @staticmethod
    def leave_out_thinking(message: Message) -> Message:
        """An answer without its thinking, wherever the row holds it."""
        content = _split_thinking(message.content)[1].lstrip("\n")
        return replace(message, thinking="", content=content)


def _split_thinking(content: str) -> tuple[str, str]:
    """Thinking that stands inside a content, without its marks, and what follows it."""
    if "</think>" not in content:
        return "", content
    head, _, content = content.rpartition("</think>")
    return head.rpartition("<think>")[2], content


class AnswerProbe:
    """Learns the form of answers.

    Args:
        render: messages and whether a prompt is wanted → text. tokens: text → (id, start, end)
            of each token. ends_turn: whether a token may end a turn. text_of: a token's text.
        eos: the tokenizer's end token, for templates that write none anywhere.
    """

    def __init__(
        self,
        render: Callable[[Sequence[Message], bool], str],
        tokens: Callable[[str], list[tuple[int, int, int]]],
        ends_turn: Callable[[int], bool],
        text_of: Callable[[int], str],
        eos: int | None = None,
    ) -> None:
        self._render, self._tokens = render, tokens
        self._ends_turn, self._text_of = ends_turn, text_of
        self._eos = eos
        self._closes_at_end = False

    def learn_form(self) -> AnswerForm:
        """The form of this template's answers.

        Raises:
            TemplateError: prompt and conversation do not fit, or nothing ends an answer.
        """
        prompt = self._render([_QUESTION], True)
        text = self._render([_QUESTION, Message("assistant", _ANSWERS[0])], False)
        close = "" if text.startswith(prompt) else self._find_close(prompt, text)
        endings: list[Ending] = []
        for answer in _ANSWERS:
            text = self._render([_QUESTION, Message("assistant", answer)], False)
            endings.append(self._find_ending(prompt, text, answer, close))
        if endings[0] != endings[1]:
            raise TemplateError(
                "the chat template's text after an answer depends on the answer "
                f"({endings[0].text!r} and {endings[1].text!r})"
            )
        added, call_added, notes = "", "", []
        if not self._has_end_token():
            added = endings[0].text
            follows = (
                "the tokenizer's own, is trained as its end, and earlier answers are context"
                if self._closes_at_end
                else "which follows earlier ones, is trained as its end"
            )
            notes.append(
                f"the template writes no end token after the last answer: {added}, {follows}"
            )
        if close:
            notes.append(
                "the prompt opens a block of thinking that the template takes out of the "
                "conversation: answers are trained as the model writes them, the block closed"
            )
        bare = not close and self._refuses_thinking(prompt)
        if bare:
            notes.append(
                "the prompt asks for an answer without thinking: thinking in a row is not trained"
            )
        ending, call_added = self._find_call_ending(endings[0], bool(added))
        more = (ending,) if ending is not None else ()
        at_end = self._closes_at_end
        return AnswerForm((endings[0], *more), added, call_added, close, bare, at_end, tuple(notes))

    def _refuses_thinking(self, prompt: str) -> bool:
        """Whether an answer with thinking does not go on from the prompt, as one without does."""
        thought = Message("assistant", _ANSWERS[0], thinking="Quite so")
        try:
            return not self._render([_QUESTION, thought], False).startswith(prompt)
        except TemplateError:
            return False

    def _find_close(self, prompt: str, text: str) -> str:
        """How thinking is closed, for a prompt that opens it; other prompts are refused."""
        if not _OPENS_THINKING.search(prompt):
            raise TemplateError(
                "the prompt is not a prefix of the conversation in this chat template: "
                f"it asks with {prompt[-40:]!r} but answers after {text[: len(prompt)][-40:]!r}",
                next_step=NAME_TEMPLATE,
            )
        thought = Message("assistant", _ANSWERS[0], thinking="Quite so")
        written = self._render([_QUESTION, thought], False)
        match = re.search(
            r"Quite so(\s*</think>\s*)" + re.escape(_ANSWERS[0]), written[len(prompt) :]
        )
        return match[1] if written.startswith(prompt) and match else USUAL_CLOSE

    def _find_ending(self, prompt: str, text: str, answer: str, close: str) -> Ending:
        after_prompt = 0 if close else len(prompt)
        at = text.rfind(answer) if close else text.find(answer, after_prompt)
        if at < 0:
            raise TemplateError("the chat template drops the assistant's content")
        after = at + len(answer)
        before = "" if close else text[len(prompt) : at]
        token = self._first_end(text, after)
        if token is not None:
            return Ending(text[after:], token[2] - after, token[0], before)
        begins = self._next_turn_token(answer)
        if begins is None or begins in self._opening_tokens(prompt):
            if self._eos is not None and not text[after:].strip() and not close:
                self._closes_at_end = True
                mark = self._text_of(self._eos)
                return Ending(mark, len(mark), self._eos, before)
            raise TemplateError(
                f"no end token follows the answer ({text[after:][:40]!r} does): "
                "the model would never learn to stop",
                next_step="use a template that writes eos_token after the answer, or add its end "
                "mark to the tokenizer's special tokens",
            )
        mark = self._text_of(begins)
        return Ending(text[after:] + mark, len(text) - after + len(mark), begins, before)

    def _first_end(self, text: str, after: int) -> tuple[int, int, int] | None:
        tokens = self._tokens(text)
        return next((t for t in tokens if t[1] >= after and self._ends_turn(t[0])), None)

    def _opening_tokens(self, prompt: str) -> set[int]:
        """Tokens that open the assistant's turn: what begins every turn ends none.

        What stands right after the question, before an opening of another kind, closes the user's
        turn (Qwen1.5 ends every turn but the last one so).
        """
        question_end = prompt.rfind(_QUESTION.content) + len(_QUESTION.content)
        after = [t for t in self._tokens(prompt) if t[1] >= question_end and self._ends_turn(t[0])]
        closes = len(after) > 1 and after[0][1] == question_end
        return {token for token, _, _ in (after[1:] if closes else after)}

    def _has_end_token(self) -> bool:
        text = self._render([_QUESTION, Message("assistant", _ANSWERS[0])], False)
        return self._first_end(text, text.rfind(_ANSWERS[0]) + len(_ANSWERS[0])) is not None

    def _next_turn_token(self, answer: str, *, called: bool = False) -> int | None:
        """The control token that begins the turn after an answer, if it follows at once."""
        if called:
            call = Message("assistant", answer, tool_calls=(_CALL,))
            turns = [_QUESTION, call, Message("tool", "Result 5")]
        else:
            turns = [_QUESTION, Message("assistant", answer), Message("user", "And then")]
        try:
            text = self._render(turns, False)
            alone = self._render(turns[:2], False)
        except TemplateError:
            return None
        if not text.startswith(alone):
            return None
        token = self._first_end(text, len(alone))
        return token[0] if token is not None and token[1] == len(alone) else None

    def _find_call_ending(self, plain: Ending, unended: bool) -> tuple[Ending | None, str]:
        """Some templates end a call of a tool with another token (Llama 3: <|eom_id|>)."""
        call = Message("assistant", "", tool_calls=(_CALL,))
        try:
            prompt = self._render([_QUESTION], True)
            text = self._render([_QUESTION, call], False)
        except TemplateError:
            return None, plain.text if unended else ""
        if self._closes_at_end:
            return None, plain.text
        if unended:
            begins = self._next_turn_token("", called=True)
            if begins is None:
                return None, plain.text
            mark = self._text_of(begins)
            return Ending(mark, len(mark), begins), mark
        if not text.startswith(prompt) or text.endswith(plain.text):
            return None, ""
        ends = [t for t in self._tokens(text) if t[1] >= len(prompt) and self._ends_turn(t[0])]
        if not ends:
            return None, ""
        token, start, end = ends[-1]
        return Ending(text[start:], end - start, token), ""
