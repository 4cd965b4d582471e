"""Damaged chat templates: used, or refused with words; never a traceback, a hang or a full memory."""

from __future__ import annotations

import random
from typing import Any

import pytest

from chat_families import FAMILIES, conversation, template_of, tokenizer_of
from fuzz import Fuzz
from mutate import mutate_bytes
from residency.chat.chat_format import ChatFormat
from residency.errors import ResidencyError

COUNT = 40
PIECES = (
    "{% for a in messages %}", "{% endfor %}", "{% endif %}", "{{ messages }}", "{{ m.content * 9999999 }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{% set x = x + x %}", "{{ ''.__class__.__mro__ }}",
    "{{ messages | map(attribute='content') | join }}", "{{ 9 ** 9 ** 9 }}", "{{ range(10 ** 9) | list }}",
    "{% include 'x' %}", "{% generation %}", "{{ strftime_now('%Y') }}", "{{ tools | tojson }}", "\x00",
)  # fmt: skip


def damage_template(text: str, count: int, seed: int) -> list[str]:
    """Templates with bytes changed, or with a piece of Jinja put somewhere."""
    draw = random.Random(seed)
    damaged = [data.decode("utf-8", "replace") for data in mutate_bytes(text.encode(), count, seed)]
    for number in range(0, count, 2):
        at = draw.randrange(len(text) + 1)
        damaged[number] = text[:at] + draw.choice(PIECES) + text[at:]
    return damaged


@pytest.mark.parametrize("family", ["chatml", "mistral", "qwen3", "llama3_1"])
def test_damaged_templates(family: str, fuzz: Fuzz) -> None:
    tokenizer: Any = tokenizer_of(family)
    _, _, _, system, tools = FAMILIES[family]
    messages = conversation(random.Random(1), system=system, tools=tools, thinking=False)

    def encode(template: str) -> None:
        encoded = ChatFormat(tokenizer, template).encode(messages)
        assert len(encoded.ids) == len(encoded.mask)

    whole = template_of(family)
    encode(whole)
    inputs = damage_template(whole, fuzz.count(COUNT), fuzz.seed(8))
    assert fuzz.attack(inputs, encode, (ResidencyError,))["refused"]
