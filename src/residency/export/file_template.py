"""The chat template that an exported file carries: programs give it messages, not our fields.

Some templates write an instruction and its input under separate headings. A server's client has one
text, ``instruction``, blank line, ``input``; the file's template divides it again where the text begins
with the project's instruction.
"""

from __future__ import annotations

import json
import re

from residency.chat.chat_format import ChatFormat

_FIELD = re.compile(r"\.\s*input\b|\[\s*['\"]input['\"]\s*\]")


def divides_input(template: str) -> bool:
    """Whether a template writes a message's input apart from its instruction."""
    return _FIELD.search(template) is not None


def write_file_template(chat: ChatFormat, instruction: str) -> str:
    """The template for files: the model's, with the instruction taken off again where it needs that.

    Args:
        instruction: what stands before every request of the project; empty for none.
    """
    if not instruction or not divides_input(chat.template):
        return chat.template
    start = json.dumps(instruction + "\n\n", ensure_ascii=False)
    return (
        f"{{%- set start = {start} -%}}"
        "{%- set divided = namespace(messages=[]) -%}"
        "{%- for message in messages -%}"
        "{%- if message.role == 'user' and message.content is string "
        "and message.content.startswith(start) -%}"
        "{%- set divided.messages = divided.messages + [{'role': message.role, "
        f"'content': message.content, 'instruction': {json.dumps(instruction, ensure_ascii=False)}, "
        f"'input': message.content[{len(instruction) + 2}:]}}] -%}}"
        "{%- else -%}{%- set divided.messages = divided.messages + [message] -%}{%- endif -%}"
        "{%- endfor -%}{%- set messages = divided.messages -%}" + chat.template
    )
