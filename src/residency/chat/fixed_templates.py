"""Templates that are ours, and the date that templates are told."""

from __future__ import annotations

from datetime import datetime

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
"""The Alpaca layout, for a base model without a chat template."""

INSTRUCTION_STOP = ("### Instructions:", "### Input:")

TEMPLATE_DATE = datetime(2024, 7, 26)
"""What templates that ask for today's date (Llama 3.2) are told: the same text every day."""

FOLD_SYSTEM = (
    "{%- if messages and messages[0].role == 'system' and messages | length > 1"
    " and messages[1].role == 'user' and messages[0].content is string"
    " and messages[1].content is string -%}"
    "{%- set messages = [{'role': 'user', 'content': messages[0].content + '\n\n' + messages[1].content}]"
    " + messages[2:] -%}"
    "{%- elif messages and messages[0].role == 'system' -%}"
    "{{- raise_exception('a system message can only be put before a user message') -}}"
    "{%- endif -%}"
)
"""Before a template without a system role: the system message opens the first user message."""
