"""Chat templates: messages → text, as transformers' ``apply_chat_template`` writes it.

Jinja in a sandbox, with the functions that templates may call. The date that some of them write
is fixed, so that the same messages give the same text every day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import jinja2
from jinja2.ext import Extension, loopcontrols

from residency.chat.fixed_templates import TEMPLATE_DATE
from residency.chat.special_text import SpecialText
from residency.chat.template_limits import LimitedEnvironment, TemplateLimitError, limit_filter
from residency.errors import TemplateError
from residency.nouns.example import Message

_FOLD = (
    "set fold_system = true under [model] in residency.toml: the system message then opens the "
    "first user message"
)


class ChatTemplate:
    """A compiled chat template.

    Args:
        text: the Jinja template. special: the tokenizer's special tokens by name (``eos_token``).

    Raises:
        TemplateError: it is not valid Jinja.
    """

    def __init__(self, text: str, special: Mapping[str, str]) -> None:
        self.text, self._special = text, dict(special)
        self._environment, self._compiled = _compile_template(text)
        self._parts = False
        self._parts = self._wants_parts()

    def __getstate__(self) -> dict[str, Any]:
        """Compiled templates cannot be sent to another process: it compiles them anew."""
        return {"text": self.text, "special": self._special}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["text"], state["special"])  # type: ignore[misc]

    def render(
        self,
        messages: Sequence[Message],
        *,
        prompt: bool = False,
        protect: SpecialText | None = None,
    ) -> str:
        """The conversation as the template writes it; ``prompt`` adds the assistant's opening.

        Definitions of tools are handed over as the template's ``tools``; a message that holds
        nothing else is not written. ``protect`` marks the texts of control tokens in messages.

        Raises:
            TemplateError: the template refuses these messages, or does more than a template needs.
        """
        tools: Any = next((m.tools for m in messages if m.tools), ())
        turns = [_to_template_message(m) for m in messages if m.content or not m.tools]
        tools = [json.loads(json.dumps(tool)) for tool in tools] or None
        if protect is not None:
            turns = [
                {k: v if k == "role" else protect.protect_value(v) for k, v in turn.items()}
                for turn in turns
            ]
            tools = protect.protect_value(tools)
        if self._parts:
            turns = [{**t, "content": [{"type": "text", "text": t["content"]}]} for t in turns]
        self._environment.start_rendering()
        try:
            return self._compiled.render(
                messages=turns,
                tools=tools,
                documents=None,
                add_generation_prompt=prompt,
                **self._special,
            )
        except (TemplateLimitError, RecursionError, MemoryError) as error:
            reason = str(error) or "it is nested too deeply"
            raise TemplateError(
                f"the chat template is stopped: {reason}",
                next_step="name another template in residency.toml ([model] template)",
            ) from None
        except (
            jinja2.TemplateError,
            TypeError,
            ValueError,
            LookupError,
            AttributeError,
            OverflowError,
        ) as error:
            system = bool(messages) and messages[0].role == "system"
            raise TemplateError(
                f"the chat template refuses these messages: {error}",
                next_step=(f"{_FOLD}; or " if system else "")
                + "change the roles in the row, or name another template "
                "in residency.toml ([model] template)",
            ) from None

    @property
    def shows_tools(self) -> bool:
        """Whether it writes the definitions of tools."""
        probe = {
            "type": "function",
            "function": {
                "name": "probe_tool",
                "description": "Probe.",
                "parameters": {"type": "object", "properties": {}},
            },
        }
        question = Message("user", "Hello")
        try:
            return "probe_tool" in self.render([Message("system", "", tools=(probe,)), question])
        except TemplateError:
            return False

    @cached_property
    def shows_system(self) -> bool:
        """Whether it writes a system message, in prompt and conversation, at one position.

        Some put it into the last message if that is the user's (Mistral Nemo): its prompt has
        the system message, and would be trained without.
        """
        turns = [Message("system", "Probe of the system."), Message("user", "Hello")]
        answered = [*turns, Message("assistant", "Probe."), Message("user", "And then")]
        try:
            places = {self.render(turns, prompt=True).find("Probe of the system.")}
            for more in (answered[:3], answered):
                places.add(self.render(more).find("Probe of the system."))
        except TemplateError:
            return False
        return len(places) == 1 and places != {-1}

    def check_system(self, messages: Sequence[Message]) -> None:
        """Refuse a system message that would be lost.

        Raises:
            TemplateError: the template leaves it out, or writes it in some renderings alone.
        """
        if not messages or messages[0].role != "system" or not messages[0].content:
            return
        if not self.shows_system:
            raise TemplateError(
                "the chat template leaves the system message out, or writes it in the last user "
                "message alone",
                next_step=_FOLD,
            )

    def _wants_parts(self) -> bool:
        """Whether it writes a content only as a list of parts (models of text and images)."""
        turns = [Message("user", "Hello"), Message("assistant", "Probe.")]
        if self._writes(turns, "Probe."):
            return False
        self._parts = True
        return self._writes(turns, "Probe.")

    def _writes(self, messages: Sequence[Message], text: str) -> bool:
        try:
            return text in self.render(messages)
        except TemplateError:
            return False


def read_own_template(tokenizer: Any) -> str | None:
    """The default template that came with a tokenizer of transformers, if any."""
    template = tokenizer.chat_template
    if isinstance(template, Mapping):
        template = template.get("default")
    return template or None


def _to_template_message(message: Message) -> dict[str, Any]:
    """A message as chat templates expect it. Arguments of tool calls become objects."""
    out: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.input:
        out["instruction"], out["input"] = message.content, message.input
    if message.thinking:
        out["reasoning_content"] = out["thinking"] = message.thinking
    if message.tool_calls:
        out["tool_calls"] = [_to_plain_call(call) for call in message.tool_calls]
    return out


def _to_plain_call(call: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(call))
    function = plain.get("function")
    if isinstance(function, dict) and isinstance(function.get("arguments"), str):
        try:
            function["arguments"] = json.loads(function["arguments"])
        except ValueError:
            return plain
    return plain


class _Generation(Extension):
    """Templates may mark answers with ``{% generation %}``; the mark writes nothing."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Any) -> Any:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _compile_template(template: str) -> tuple[LimitedEnvironment, jinja2.Template]:
    """A sandboxed template, with the functions that chat templates may call (transformers)."""
    environment = LimitedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = limit_filter(_write_json)
    environment.globals["raise_exception"] = _raise_refusal
    environment.globals["strftime_now"] = TEMPLATE_DATE.strftime
    try:
        compiled = environment.compile_template(template)
        # A plain dict: every rendering copies them, and a ChainMap is slow to copy.
        compiled.globals = dict(compiled.globals)
        return environment, compiled
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(
            f"the chat template is not valid Jinja: {error.message}",
            where=f"chat template line {error.lineno}",
        ) from None
    except TemplateLimitError as error:
        raise TemplateError(
            f"the chat template is refused: {error}",
            next_step="name another template in residency.toml ([model] template)",
        ) from None


def _write_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise_refusal(message: str) -> None:
    raise jinja2.TemplateError(message)
