"""The only code where messages become text, ids and loss mask.

Training, evaluation, chat and server all come through here, so what is trained is the
text of later use. The format's hash travels with every dataset version and checkpoint.

How the mask is proved, for each assistant turn i of a conversation (docs/chat.md):

1. the prompt of turn i, rendered as it is at inference, is a prefix of the conversation's text;
2. its ids, as they are at inference, are a prefix of the conversation's ids;
3. what follows is the turn as the template writes it when it is the last one, up to and
   including the end token that the template writes after every answer.

Where the template writes no end token, or takes out the thinking that its prompt opens, the
answer is written as the model writes it; where the prompt asks for an answer without thinking, it is
trained without it (``residency.chat.answer_form``).

What lies between 2 and 3 is trained, nothing else. A last turn of which this is not true is
refused. An earlier turn of which it is not true (templates of reasoning models rewrite the
history) is context only, and is named in ``Encoded.context_turns``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tokenizers import Tokenizer

from residency.chat.answer_form import NAME_TEMPLATE, AnswerForm, AnswerProbe
from residency.chat.chat_template import ChatTemplate, read_own_template
from residency.chat.control_marks import ControlMarks
from residency.chat.dividing_tokenizer import DividingTokenizer
from residency.chat.fixed_templates import (
    FOLD_SYSTEM,
    INSTRUCTION_STOP,
    INSTRUCTION_TEMPLATE,
    TEMPLATE_DATE,
)
from residency.chat.special_text import SpecialText, remove_marks
from residency.errors import TemplateError
from residency.nouns.content_id import canonical_json
from residency.nouns.example import Message

__all__ = [
    "INSTRUCTION_STOP",
    "INSTRUCTION_TEMPLATE",
    "TEMPLATE_DATE",
    "ChatFormat",
    "Encoded",
]


@dataclass(frozen=True)
class Encoded:
    """A whole conversation, ready to train on.

    Attributes:
        ids: token ids, exactly one BOS where the model uses one.
        mask: True where the token is trained (the assistant's tokens and its end token).
        context_turns: indexes of assistant messages that are not trained here, because the
            template writes them otherwise in the history than as an answer.
    """

    ids: list[int]
    mask: list[bool]
    context_turns: tuple[int, ...] = ()


class ChatFormat:
    """The model's chat template, or the instruction template for a base model without one.

    Args:
        tokenizer: a fast tokenizer of transformers (``PreTrainedTokenizerFast``).
        template: text of a Jinja chat template to use instead of the model's. A BOS is
            put before it when the tokenizer has one and the template writes none.
        fold_system: put the system message before the first user message, where the template
            refuses or drops system messages; the template that is exported does the same.

    Raises:
        TemplateError: the template cannot be rendered, writes two BOS, writes no end token,
            or its prompt is not a prefix of the conversation.
    """

    hash: str
    """Hash of the template text, the special tokens and the tokenizer."""
    tokenizer_hash: str
    template: str
    """The template in use; written beside every exported model."""
    end_ids: tuple[int, ...]
    """Token ids that end an assistant's turn; generation stops at any of them."""
    stop: tuple[str, ...]
    """Strings at which generation stops (the instruction template's section marks)."""
    shows_tools: bool
    """Whether the template writes the definitions of tools."""
    notes: tuple[str, ...]
    """What a reader of trained rows should know about this template."""

    def __init__(
        self, tokenizer: Any, template: str | None = None, *, fold_system: bool = False
    ) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer):
            raise TemplateError(
                f"{type(tokenizer).__name__} is not a fast tokenizer",
                next_step="save it with a tokenizer.json (transformers: PreTrainedTokenizerFast)",
            )
        # A copy for us, so that nobody's truncation or padding settings reach it.
        self._backend = Tokenizer.from_str(backend.to_str())
        self._backend.no_truncation()
        self._backend.no_padding()
        serialised = self._backend.to_str()
        self.tokenizer_hash = "sha256:" + hashlib.sha256(serialised.encode()).hexdigest()
        self._special = {name: str(text) for name, text in tokenizer.special_tokens_map.items()}
        self._bos_id: int | None = tokenizer.bos_token_id
        self._eos_id: int | None = tokenizer.eos_token_id
        self._added = dict(self._backend.get_added_tokens_decoder())
        self._divided = DividingTokenizer(self._backend, self._added)
        named = [*self._special.values(), *(t.content for t in self._added.values() if t.special)]
        self._special_text = SpecialText(named)
        self.stop = ()
        self._template = self._choose_template(tokenizer, template, fold_system)
        self.template = self._template.text
        self.shows_tools = self._template.shows_tools
        self._thinks = "</think>" in self.template
        self._form = self._learn_form()
        self._marks = ControlMarks(named, self._form.endings[0].before)
        self.notes = self._form.notes
        self.end_ids = tuple(
            dict.fromkeys(
                [e.id for e in self._form.endings]
                + ([] if self._eos_id is None else [self._eos_id])
            )
        )
        self.hash = (
            "sha256:"
            + hashlib.sha256(
                canonical_json([self.template, self._special, self.tokenizer_hash]).encode()
            ).hexdigest()
        )

    # --- what others use -------------------------------------------------------------------

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Ids of a prompt, up to where the assistant begins to write.

        Exactly a prefix of ``encode([*messages, answer]).ids``, whatever the answer.

        Raises:
            TemplateError: the template refuses these messages.
        """
        if not messages:
            return [self._bos_id] if self.adds_bos and self._bos_id is not None else []
        text = self._render_marked(messages, prompt=True)
        cuts = [len(p) for _, p in self._write_prompts(messages) if text.startswith(p)]
        ids = self._divided.encode(text, cuts, ())[0]
        self._check_bos(ids)
        return ids

    def encode(self, messages: Sequence[Message]) -> Encoded:
        """Ids and loss mask of a conversation whose assistant turns are trained, but for those that
        are marked as context only (``Message.trained``).

        A single assistant message is raw text (see ``encode_text``).

        Raises:
            TemplateError: the mask cannot be proved, there is no assistant turn at the end,
                or the template refuses these messages.
        """
        if not messages or messages[-1].role != "assistant":
            raise TemplateError(
                "the conversation does not end with an assistant message: nothing to train on"
            )
        if len(messages) == 1:
            return self.encode_text(messages[0].content)
        text = self._write_conversation(messages)
        spans: list[tuple[int, int, int]] = []  # start and end in characters, end token id
        learned: list[bool] = []
        context: list[int] = []
        for index, prompt in self._write_prompts(messages):
            span = self._find_span(messages, index, prompt, text)
            if span is None:
                context.append(index)
            else:
                spans.append(span)
                learned.append(messages[index].trained)
        ids, firsts, stops = self._divided.encode(
            text, [s[0] for s in spans], [s[1] for s in spans]
        )
        self._check_bos(ids)
        mask = [False] * len(ids)
        for (_, _, end_id), first, stop, learn in zip(spans, firsts, stops, learned, strict=True):
            if stop <= first or ids[stop - 1] != end_id:
                raise TemplateError(
                    f"the answer's end token ({self._added[end_id].content}) is not one token here",
                )
            mask[first:stop] = [learn] * (stop - first)
        return Encoded(ids, mask, tuple(context))

    def encode_text(self, text: str) -> Encoded:
        """Ids and mask of raw text (pretraining): BOS where the tokenizer adds one, the text, EOS.

        Everything but the BOS is trained.
        """
        ids = list(self._divided.encode(text, (), ())[0])
        head = [self._bos_id] if self.adds_bos and self._bos_id is not None else []
        if head and ids[:1] == head:
            head = []
        trained = len(ids)
        ids = head + ids
        if self._eos_id is not None and ids[-1:] != [self._eos_id]:
            ids.append(self._eos_id)
            trained += 1
        mask = [False] * (len(ids) - trained) + [True] * trained
        return Encoded(ids, mask)

    def plain_ids(self, text: str) -> list[int]:
        """Ids of plain text, in which the text of a control token is text."""
        protected = self._special_text.protect_text(text)
        return list(self._divided.encode(protected, (), ())[0])

    @property
    def writes_system(self) -> bool:
        """Whether the template writes a system message."""
        return self._template.shows_system

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids, special tokens and the end token left out.

        Thinking (``<think>…</think>``) is left out too where the template knows it.
        """
        return self.decode_thinking(ids)[1]

    def decode_thinking(self, ids: Sequence[int]) -> tuple[str, str]:
        """Thinking and answer of generated ids; thinking is empty where there is none."""
        ends = set(self.end_ids)
        stop = next((i for i, token in enumerate(ids) if token in ends), len(ids))
        if self._marks.divides_answers:
            raw = str(self._backend.decode(list(ids[:stop]), skip_special_tokens=False))
            if (divided := self._marks.divide_text(raw)) is not None:
                return divided
        text = str(self._backend.decode(list(ids[:stop]), skip_special_tokens=True))
        if self._thinks and "</think>" in text:
            thinking, _, answer = text.rpartition("</think>")
            return thinking.rpartition("<think>")[2].strip("\n"), answer.lstrip("\n")
        # What the template itself writes around an answer is no part of it (Llama 2: a space).
        ending = self._form.endings[0]
        start = len(ending.before) if text.startswith(ending.before) else 0
        lead = ending.text[: ending.end].removesuffix(str(self._added[ending.id].content))
        return "", text[start:].removesuffix(lead) if stop < len(ids) else text[start:]

    def pieces(self, ids: Sequence[int], mask: Sequence[bool]) -> list[tuple[str, bool]]:
        """The text of ids, special tokens shown, in runs that are trained or not (for display)."""
        out: list[tuple[str, bool]] = []
        start = 0
        for position in range(1, len(ids) + 1):
            if position == len(ids) or mask[position] != mask[start]:
                run = list(ids[start:position])
                text = str(self._backend.decode(run, skip_special_tokens=False))
                out.append((text, bool(mask[start])))
                start = position
        return out

    def render(self, messages: Sequence[Message], *, prompt: bool = False) -> str:
        """The conversation as the template writes it (see ``ChatTemplate.render``).

        Raises:
            TemplateError: the template refuses these messages.
        """
        return remove_marks(self._render_marked(messages, prompt=prompt))

    def _render_marked(self, messages: Sequence[Message], *, prompt: bool = False) -> str:
        """The rendered text, the texts of control tokens in messages marked as text.

        A system message that the template leaves out is refused.
        """
        text = self._template.render(messages, prompt=prompt, protect=self._special_text)
        self._template.check_system(messages)
        return text

    def _write_conversation(self, messages: Sequence[Message]) -> str:
        """A conversation that ends with an answer, in the form in which the answer is trained."""
        if self._form.answers_without_thinking:
            messages = [*messages[:-1], self._form.leave_out_thinking(messages[-1])]
        text = self._form.finish_conversation(self._render_marked(messages), messages[-1])
        if not self._form.close_thinking or len(messages) < 2:
            return text
        prompt = self._render_marked(messages[:-1], prompt=True)
        if text.startswith(prompt) or messages[-1].tool_calls:
            return text
        protect = self._special_text.protect_text
        last = messages[-1]
        return self._form.write_answer(prompt, protect(last.thinking), protect(last.text))

    # --- the proof -------------------------------------------------------------------------

    def _write_prompts(self, messages: Sequence[Message]) -> list[tuple[int, str]]:
        """Index of every assistant message, and the prompt that asks for it."""
        return [
            (i, self._render_marked(messages[:i], prompt=True))
            for i, message in enumerate(messages)
            if message.role == "assistant" and i > 0
        ]

    def _find_span(
        self, messages: Sequence[Message], index: int, prompt: str, text: str
    ) -> tuple[int, int, int] | None:
        """Characters of a trained turn and its end token's id; None for an earlier turn that is
        context only."""
        last = index == len(messages) - 1
        alone = text if last else self._write_conversation(messages[: index + 1])
        if not alone.startswith(prompt):
            if last:
                raise TemplateError(
                    "the prompt is not a prefix of the conversation in this chat template: "
                    "what would be trained is not what is asked",
                    next_step=NAME_TEMPLATE,
                )
            return None
        reply = alone[len(prompt) :]
        endings = self._form.endings
        ending = next((e for e in endings if reply.endswith(e.text)), None)
        if ending is None:
            raise TemplateError(
                "the chat template writes no known end after this answer: "
                f"{reply[-40:]!r}, expected {endings[0].text!r}"
            )
        size = len(reply) - len(ending.text) + ending.end
        content = self._special_text.protect_text(messages[index].content).strip()
        if content not in reply[:size] and not (self._thinks and "</think>" in content):
            raise TemplateError("the chat template changes or drops the assistant's content")
        if not text.startswith(prompt + reply[:size]):
            return None
        return len(prompt), len(prompt) + size, ending.id

    # --- the template ----------------------------------------------------------------------

    def _choose_template(self, tokenizer: Any, named: str | None, fold: bool) -> ChatTemplate:
        """The named template, the tokenizer's, or the instruction template."""
        tokenizer_template = read_own_template(tokenizer) if named is None else None
        text = named or tokenizer_template
        if text is None:
            text = INSTRUCTION_TEMPLATE
            if self._eos_id is None:
                raise TemplateError(
                    "the tokenizer has neither a chat template nor an end token: "
                    "the model could never stop",
                    next_step=f"{NAME_TEMPLATE} or set eos_token",
                )
        if text.endswith(INSTRUCTION_TEMPLATE):  # also in a file that an export of ours wrote
            self.stop = INSTRUCTION_STOP
        template = ChatTemplate(text, self._special)
        if fold and not template.shows_system:
            text = FOLD_SYSTEM + text
            template = ChatTemplate(text, self._special)
        if tokenizer_template is None and self.adds_bos:
            conversation = [Message("user", "Hello"), Message("assistant", "Probe.")]
            if self._leading_bos(template.render(conversation)) == 0:
                template = ChatTemplate("{{ bos_token }}" + text, self._special)
        return template

    def _learn_form(self) -> AnswerForm:
        def find_tokens(text: str) -> list[tuple[int, int, int]]:
            encoding = self._backend.encode(text, add_special_tokens=False)
            self._check_bos(encoding.ids)
            return [(t, a, b) for t, (a, b) in zip(encoding.ids, encoding.offsets, strict=True)]

        probe = AnswerProbe(
            lambda messages, prompt: self._template.render(messages, prompt=prompt),
            find_tokens,
            self._ends_turn,
            lambda token: str(self._added[token].content),
            self._eos_id if self._eos_id in self._added else None,
        )
        return probe.learn_form()

    def _ends_turn(self, token: int) -> bool:
        known = self._added.get(token)
        return token == self._eos_id or (known is not None and bool(known.special))

    @cached_property
    def adds_bos(self) -> bool:
        """Whether the tokenizer puts a BOS before plain text."""
        if self._bos_id is None:
            return False
        return bool(self._backend.encode("a").ids[:1] == [self._bos_id])

    def _leading_bos(self, text: str) -> int:
        ids = self._backend.encode(text, add_special_tokens=False).ids
        return next((n for n, token in enumerate(ids) if token != self._bos_id), len(ids))

    def _check_bos(self, ids: Sequence[int]) -> None:
        if self._bos_id is not None and list(ids[:2]) == [self._bos_id] * 2:
            raise TemplateError(
                "the prompt would begin with two BOS tokens",
                next_step="remove the BOS text from the row, or bos_token from the template",
            )
