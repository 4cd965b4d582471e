"""Chat templates: messages → text, as transformers' ``apply_chat_template`` writes it.

Jinja in a sandbox, with the functions that templates may call. The date that some of them write
is fixed, so that the same messages give the same text every day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from residency.errors import TemplateError
from residency.nouns.example import Message

INSTRUCTION_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message.role == 'assistant' -%}"
    "{{ '### Response:\n' + message.content + eos_token }}"
    "{%- elif message.role == 'system' -%}"
    "{{ message.content + '\n\n' }}"
    "{%- else -%}"
    "{%- if not loop.first and loop.previtem.role == 'assistant' -%}{{ '\n\n' }}{%- endif -%}"
    "{%- if message.role == 'tool' -%}{{ '### Input:\n' + message.content + '\n\n' }}"
    "{%- else -%}"
    "{{ '### Instructions:\n' + (message.instruction or message.content) + '\n\n' }}"
    "{%- if message.input -%}{{ '### Input:\n' + message.input + '\n\n' }}{%- endif -%}"
    "{%- endif -%}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '### Response:\n' }}{%- endif -%}"
)
"""The Alpaca layout, for a base model without a chat template of its own."""

INSTRUCTION_STOP = ("### Instructions:", "### Input:")

TEMPLATE_DATE = datetime(2024, 7, 26)
"""What templates that ask for today's date (Llama 3.2) are told: the same text every day."""


class ChatTemplate:
    """A compiled chat template.

    Args:
        text: the Jinja template. special: the tokenizer's special tokens by name (``eos_token``).

    Raises:
        TemplateError: it is not valid Jinja.
    """

    def __init__(self, text: str, special: Mapping[str, str]) -> None:
        self.text, self._special = text, dict(special)
        self._compiled = _compile(text)

    def __getstate__(self) -> dict[str, Any]:
        """Compiled templates cannot be sent to another process: it compiles its own."""
        return {"text": self.text, "special": self._special}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["text"], state["special"])  # type: ignore[misc]

    def render(self, messages: Sequence[Message], *, prompt: bool = False) -> str:
        """The conversation as the template writes it; ``prompt`` adds the assistant's opening.

        Definitions of tools are handed over as the template's ``tools``; a message that holds
        nothing else is not written.

        Raises:
            TemplateError: the template refuses these messages.
        """
        tools = next((m.tools for m in messages if m.tools), ())
        try:
            return self._compiled.render(
                messages=[_for_template(m) for m in messages if m.content or not m.tools],
                tools=[json.loads(json.dumps(tool)) for tool in tools] or None,
                documents=None,
                add_generation_prompt=prompt,
                **self._special,
            )
        except (jinja2.TemplateError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise TemplateError(
                f"the chat template refuses these messages: {error}",
                next_step="change the roles in the row, or name another template "
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
        asked = Message("user", "Hello")
        try:
            return "probe_tool" in self.render([Message("system", "", tools=(probe,)), asked])
        except TemplateError:
            return False


def own_template(tokenizer: Any) -> str | None:
    """The default template that came with a tokenizer of transformers, if any."""
    own = tokenizer.chat_template
    if isinstance(own, Mapping):
        own = own.get("default")
    return own or None


def _for_template(message: Message) -> dict[str, Any]:
    """A message as chat templates expect it. Arguments of tool calls become objects."""
    out: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.input:
        out["instruction"], out["input"] = message.content, message.input
    if message.thinking:
        out["reasoning_content"] = out["thinking"] = message.thinking
    if message.tool_calls:
        out["tool_calls"] = [_plain_call(call) for call in message.tool_calls]
    return out


def _plain_call(call: Mapping[str, Any]) -> dict[str, Any]:
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


def _compile(template: str) -> jinja2.Template:
    """A sandboxed template, with the functions that chat templates may call (transformers)."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = TEMPLATE_DATE.strftime
    try:
        compiled = environment.from_string(template)
        # A plain dict: every rendering copies them, and a ChainMap is slow to copy.
        compiled.globals = dict(compiled.globals)
        return compiled
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(
            f"the chat template is not valid Jinja: {error.message}",
            where=f"chat template line {error.lineno}",
        ) from None


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)
