"""ChatFormat against the real templates of the model families, on seeded random conversations."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from chat_families import FAMILIES, as_dicts, conversation, sentence, template_of, tokenizer_of
from residency.chat.chat_format import ChatFormat
from residency.chat.fixed_templates import TEMPLATE_DATE
from residency.nouns.example import Message

CONVERSATIONS = 200
TRAINING = ("llama3", "qwen2_5", "gemma", "gemma3", "phi3", "phi3_5", "cohere", "lfm2")


class _FixedDate(datetime):
    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return TEMPLATE_DATE


@pytest.fixture(autouse=True)
def fixed_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """Llama 3.2's template writes today's date; ours is always the same."""
    from transformers.utils import chat_template_utils

    monkeypatch.setattr(chat_template_utils, "datetime", _FixedDate)


_MADE: dict[str, tuple[Any, ChatFormat]] = {}


def made(family: str) -> tuple[Any, ChatFormat]:
    if family not in _MADE:
        tokenizer = tokenizer_of(family)
        _MADE[family] = tokenizer, ChatFormat(tokenizer)
    return _MADE[family]


def conversations(family: str, count: int, seed: int = 0) -> Iterator[list[Message]]:
    _, _, _, system, tools = FAMILIES[family]
    rng = random.Random(seed)
    for _ in range(count):
        yield conversation(rng, system=system, tools=tools, thinking=family == "qwen3")


@pytest.mark.parametrize("family", FAMILIES)
def test_pain_06_ids_equal_apply_chat_template(family: str) -> None:
    tokenizer, chat = made(family)
    for messages in conversations(family, CONVERSATIONS):
        expected = tokenizer.apply_chat_template(as_dicts(messages))["input_ids"]
        assert chat.encode(messages).ids == expected
        asked = tokenizer.apply_chat_template(as_dicts(messages[:-1]), add_generation_prompt=True)
        assert chat.prompt_ids(messages[:-1]) == asked["input_ids"]


@pytest.mark.parametrize("family", FAMILIES)
def test_pain_01_mask_covers_exactly_the_answers_and_their_end(family: str) -> None:
    """Each trained run is what the model is to write after the prompt of that turn, and only
    that: another answer in its place changes this run of the text and nothing before it."""
    _, chat = made(family)
    for messages in conversations(family, 60, seed=1):
        encoded = chat.encode(messages)
        turns = [
            n
            for n, m in enumerate(messages)
            if m.role == "assistant" and n not in encoded.context_turns
        ]
        runs = _runs(encoded.mask)
        assert len(runs) == len(turns)
        for (start, stop), turn in zip(runs, turns, strict=True):
            assert encoded.ids[:start] == chat.prompt_ids(messages[:turn])
            assert encoded.ids[stop - 1] in chat.end_ids
            if not messages[turn].tool_calls:
                thinking, answer = chat.decode_thinking(encoded.ids[start:stop])
                assert answer == messages[turn].content.strip()
                assert thinking == (messages[turn].thinking if family == "qwen3" else "")
            other = [*messages[:turn], Message("assistant", "Another."), *messages[turn + 1 :]]
            assert chat.encode(other).ids[:start] == encoded.ids[:start]


def _runs(mask: list[bool]) -> list[tuple[int, int]]:
    edges = [n for n in range(1, len(mask)) if mask[n] != mask[n - 1]] + [len(mask)]
    starts = [0, *edges[:-1]]
    return [(a, b) for a, b in zip(starts, edges, strict=True) if mask[a]]


@pytest.mark.parametrize("family", TRAINING)
def test_pain_01_mask_equals_generation_marks(family: str) -> None:
    """trl marks the answers in copies of these templates; our mask needs no marks and agrees."""
    tokenizer, _ = made(family)
    marked = template_of(f"{family}_training")
    chat = ChatFormat(tokenizer, marked)
    for messages in conversations(family, 40, seed=2):
        if any(m.tool_calls for m in messages):
            continue
        reference = tokenizer.apply_chat_template(
            as_dicts(messages),
            chat_template=marked,
            return_assistant_tokens_mask=True,
            return_dict=True,
        )
        encoded = chat.encode(messages)
        assert encoded.ids == reference["input_ids"]
        theirs = [bool(m) for m in reference["assistant_masks"]]
        # They may also mark line breaks after the end token; we never do, for nothing is
        # generated after it.
        extra = [i for i, (a, b) in enumerate(zip(theirs, encoded.mask, strict=True)) if a != b]
        for place in extra:
            assert theirs[place] and not encoded.mask[place]
            assert not chat.decode([encoded.ids[place]]).strip()


@pytest.mark.parametrize("family", FAMILIES)
def test_prompt_is_a_prefix_whatever_the_answer(family: str) -> None:
    """Also where the answer begins with white space that would merge with the prompt."""
    _, chat = made(family)
    rng = random.Random(3)
    for lead in ("", " ", "\n", "\n\n", "  ", "\t", "\u3000", "1", ".", "a"):
        question = [Message("user", sentence(rng))]
        prompt = chat.prompt_ids(question)
        encoded = chat.encode([*question, Message("assistant", lead + sentence(rng))])
        assert encoded.ids[: len(prompt)] == prompt
        assert not any(encoded.mask[: len(prompt)])
        assert encoded.mask[len(prompt)]


@pytest.mark.parametrize("family", FAMILIES)
def test_pain_07_exactly_one_bos(family: str) -> None:
    """One at the start where the template writes one, and none elsewhere where it does not."""
    tokenizer, chat = made(family)
    bos, written = tokenizer.bos_token_id, template_of(family)
    writes = tokenizer.bos_token and ("bos_token" in written or tokenizer.bos_token in written)
    for messages in conversations(family, 20, seed=4):
        for ids in (chat.encode(messages).ids, chat.prompt_ids(messages[:-1])):
            if writes:
                assert ids[0] == bos
                assert ids[1] != bos
            else:
                assert bos is None or bos not in ids


def test_pain_07_templates_that_write_bos_have_one_with_any_tokenizer() -> None:
    """A tokenizer that adds a BOS of its own makes no second one."""
    for family in ("llama3", "mistral", "gemma3"):
        tokenizer = tokenizer_of(family, adds_bos=True)
        chat = ChatFormat(tokenizer)
        ids = chat.prompt_ids([Message("user", "Hello")])
        assert ids.count(tokenizer.bos_token_id) == 1


def test_pain_05_thinking_is_neither_added_nor_lost() -> None:
    """Qwen3 takes think blocks out of the history and puts empty ones before last answers."""
    _, chat = made("qwen3")
    question = [Message("user", "Why?")]
    plain = chat.encode([*question, Message("assistant", "So.")])
    thought = chat.encode([*question, Message("assistant", "So.", thinking="Hm")])
    prompt = chat.prompt_ids(question)
    # Both are answers to the same prompt, and each gives back what the row says.
    assert plain.ids[: len(prompt)] == thought.ids[: len(prompt)] == prompt
    assert chat.decode_thinking(plain.ids[len(prompt) :]) == ("", "So.")
    assert chat.decode_thinking(thought.ids[len(prompt) :]) == ("Hm", "So.")
    # In a longer conversation the first turn's thinking is gone from the text: it is context.
    longer = [*question, Message("assistant", "So.", thinking="Hm"), *question]
    encoded = chat.encode([*longer, Message("assistant", "Yes.")])
    assert encoded.context_turns == (1,)
    assert len(_runs(encoded.mask)) == 1


def test_pain_05_every_turn_of_a_thinking_conversation_is_taught_once() -> None:
    from residency.data.token_rows import encode_example
    from residency.nouns.example import Example

    _, chat = made("qwen3")
    rng = random.Random(6)
    for _ in range(20):
        messages = conversation(rng, thinking=True)
        rows = encode_example(Example(tuple(messages)), chat)
        taught = []
        for row in rows:
            for start, stop in _runs(row.mask):
                taught.append(chat.decode_thinking(row.ids[start:stop]))
        expected = [(m.thinking, m.content) for m in messages if m.role == "assistant"]
        assert sorted(taught) == sorted(expected)


def test_a_turn_that_stays_as_it_is_is_taught_in_one_row_alone() -> None:
    """A template that leaves out the thinking of earlier turns rewrites only turns that think."""
    from residency.data.token_rows import encode_example
    from residency.nouns.example import Example

    template = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
        "{% if m.thinking and loop.last %}{{ '<think>' + m.thinking + '</think>' }}{% endif %}"
        "{{ m.content + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    chat = ChatFormat(tokenizer_of("qwen3", template=template))
    user = Message("user", "Why?")
    turns = [Message("assistant", "One."), Message("assistant", "Two.", thinking="Hm")]
    row = Example((user, turns[0], user, turns[1], user, Message("assistant", "Three.")))
    taught = [
        chat.decode_thinking(made.ids[start:stop])
        for made in encode_example(row, chat)
        for start, stop in _runs(made.mask)
    ]
    assert sorted(taught) == [("", "One."), ("", "Three."), ("Hm", "Two.")]


TOOLS = (
    {
        "type": "function",
        "function": {
            "name": "find",
            "description": "Finds an order.",
            "parameters": {"type": "object", "properties": {"q": {"type": "string"}}},
        },
    },
)


@pytest.mark.parametrize("family", ["llama3_1", "llama3_2", "qwen2_5", "qwen3"])
def test_definitions_of_tools_are_written_as_the_template_writes_them(family: str) -> None:
    tokenizer, chat = made(family)
    assert chat.shows_tools
    for messages in conversations(family, 60, seed=7):
        turns = as_dicts(messages)
        if messages[0].role == "system":
            told = [replace(messages[0], tools=TOOLS), *messages[1:]]
        else:  # a message that holds nothing but definitions is not written
            told = [Message("system", "", tools=TOOLS), *messages]
        whole = tokenizer.apply_chat_template(turns, tools=list(TOOLS))
        encoded = chat.encode(told)
        assert encoded.ids == whole["input_ids"]
        asked = tokenizer.apply_chat_template(
            turns[:-1], tools=list(TOOLS), add_generation_prompt=True
        )
        assert chat.prompt_ids(told[:-1]) == asked["input_ids"]
        trained = sum(encoded.mask)
        assert 0 < trained == sum(chat.encode(messages).mask), "definitions are never trained"


@pytest.mark.parametrize("family", ["llama3", "gemma3", "chatml", "zephyr"])
def test_a_template_that_writes_no_definitions_is_known(family: str) -> None:
    assert not made(family)[1].shows_tools
