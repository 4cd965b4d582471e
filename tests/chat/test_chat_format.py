"""The chat format's own promises: instruction template, refusals, raw text, hashes, speed."""

from __future__ import annotations

import pickle
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_families import conversation, tokenizer_of
from residency.chat.chat_format import ChatFormat
from residency.chat.fixed_templates import INSTRUCTION_STOP
from residency.errors import TemplateError
from residency.export.file_template import write_file_template
from residency.nouns.example import Message

QUESTION = [Message("user", "Hello")]


@pytest.fixture(scope="module")
def bare() -> Any:
    """A tokenizer without a chat template."""
    return tokenizer_of("zephyr", template=None)


def chatml(**changes: str) -> str:
    text = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' + '\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def test_instruction_template_writes_the_alpaca_layout(bare: Any) -> None:
    chat = ChatFormat(bare)
    asked = Message("user", "Translate.", input="Guten Tag")
    assert chat.render([asked], prompt=True) == (
        "### Instructions:\nTranslate.\n\n### Input:\nGuten Tag\n\n### Response:\n"
    )
    assert chat.render([Message("user", "Hi"), Message("assistant", "Yes")]) == (
        "### Instructions:\nHi\n\n### Response:\nYes</s>"
    )
    two = [Message("user", "Hi"), Message("assistant", "Yes"), Message("user", "Go on")]
    assert chat.render(two, prompt=True) == (
        "### Instructions:\nHi\n\n### Response:\nYes</s>\n\n### Instructions:\nGo on\n\n### Response:\n"
    )
    assert chat.stop == INSTRUCTION_STOP
    exported = write_file_template(chat, "Translate.")
    assert ChatFormat(bare, exported).stop == INSTRUCTION_STOP  # read again, it ends where it did
    assert chat.end_ids == (bare.eos_token_id,)


def test_instruction_template_has_one_bos_where_the_tokenizer_adds_one() -> None:
    with_bos = ChatFormat(tokenizer_of("zephyr", template=None, adds_bos=True))
    ids = with_bos.prompt_ids(QUESTION)
    assert with_bos.decode(ids[1:]).startswith("### Instructions")
    assert ids.count(ids[0]) == 1
    # What is exported renders the same through transformers.
    tokenizer = tokenizer_of("zephyr", template=with_bos.template, adds_bos=True)
    turns = [{"role": "user", "content": "Hello"}]
    assert tokenizer.apply_chat_template(turns, add_generation_prompt=True)["input_ids"] == ids


def test_pain_08_the_template_in_use_survives_export(bare: Any) -> None:
    """A server that knows only the exported template and messages asks what was trained."""
    chat = ChatFormat(bare)
    exported = tokenizer_of("zephyr", template=chat.template)
    for seed in range(50):
        messages = conversation(random.Random(seed))
        turns = [{"role": m.role, "content": m.text} for m in messages]
        assert exported.apply_chat_template(turns)["input_ids"] == chat.encode(messages).ids


@settings(max_examples=150, deadline=None)
@given(st.text(min_size=1, max_size=40), st.text(max_size=20), st.text(min_size=1, max_size=40))
def test_any_text_keeps_the_prompt_as_a_prefix(content: str, extra: str, answer: str) -> None:
    chat = _any_text()
    marks = ("<|", "</s>", "<s>", "<unk>")
    if any(m in t for m in marks for t in (content, extra, answer)):
        return
    question = [Message("user", content, input=extra)]
    prompt = chat.prompt_ids(question)
    encoded = chat.encode([*question, Message("assistant", answer)])
    assert encoded.ids[: len(prompt)] == prompt
    trained = [i for i, m in zip(encoded.ids, encoded.mask, strict=True) if m]
    assert encoded.ids[len(prompt) :] == trained
    assert chat.decode(trained) == answer


_ANY: list[ChatFormat] = []


def _any_text() -> ChatFormat:
    if not _ANY:
        _ANY.append(ChatFormat(tokenizer_of("mistral_v3", template=None)))
    return _ANY[0]


def test_pain_04_a_template_without_an_end_token_gets_the_tokenizers_or_is_refused() -> None:
    tokenizer = tokenizer_of("chatml")
    chat = ChatFormat(tokenizer, chatml(**{"<|im_end|>": ""}))
    encoded = chat.encode([Message("user", "Hello"), Message("assistant", "Yes.")])
    assert encoded.ids[-1] == tokenizer.eos_token_id and encoded.mask[-1]
    with pytest.raises(TemplateError, match="no end token follows the answer"):
        ChatFormat(tokenizer, chatml(**{"<|im_end|>": "<end>"}))
    tokenizer.chat_template = None
    tokenizer.eos_token = None
    with pytest.raises(TemplateError, match="could never stop"):
        ChatFormat(tokenizer)


def test_pain_01_a_mask_that_cannot_be_proved_is_refused() -> None:
    tokenizer = tokenizer_of("chatml")
    asks_otherwise = chatml(**{"'<|im_start|>assistant\n' }}": "'<|im_start|>bot\n' }}"})
    with pytest.raises(TemplateError, match="not a prefix"):
        ChatFormat(tokenizer, asks_otherwise)
    with pytest.raises(TemplateError, match="drops the assistant's content"):
        ChatFormat(
            tokenizer, chatml(**{"m.content": "('' if m.role == 'assistant' else m.content)"})
        )
    with pytest.raises(TemplateError, match="changes or drops"):
        ChatFormat(
            tokenizer, chatml(**{"m.content": "m.content | replace('kettle', 'pot')"})
        ).encode([*QUESTION, Message("assistant", "a kettle")])


def test_pain_07_two_bos_are_refused() -> None:
    tokenizer = tokenizer_of("mistral")
    with pytest.raises(TemplateError, match="two BOS"):
        ChatFormat(tokenizer, "{{ bos_token }}" + tokenizer.chat_template)
    chat = ChatFormat(tokenizer_of("zephyr", template=None, adds_bos=True))
    ids = chat.prompt_ids([Message("system", "<s> hello"), *QUESTION])
    assert ids.count(ids[0]) == 1  # the text "<s>" of a message is no BOS


def test_pain_02_a_conversation_without_an_answer_is_refused(bare: Any) -> None:
    with pytest.raises(TemplateError, match="nothing to train on"):
        ChatFormat(bare).encode(QUESTION)
    with pytest.raises(TemplateError, match="nothing to train on"):
        ChatFormat(bare).encode([])


def test_templates_refuse_in_their_own_words() -> None:
    chat = ChatFormat(tokenizer_of("mistral"))
    with pytest.raises(TemplateError, match="Only user and assistant roles"):
        chat.encode([Message("system", "Be kind."), *QUESTION, Message("assistant", "Yes")])
    with pytest.raises(TemplateError, match="not valid Jinja") as caught:
        ChatFormat(tokenizer_of("chatml"), "{% for m in messages %}\n{{ m.content }")
    assert "line 2" in caught.value.where
    assert pickle.loads(pickle.dumps(caught.value)).where == caught.value.where


def test_templates_are_sandboxed() -> None:
    with pytest.raises(TemplateError):
        ChatFormat(tokenizer_of("chatml"), "{{ messages.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(TemplateError):
        ChatFormat(tokenizer_of("chatml"), chatml(**{"m.role": "messages.append(1)"}))


def test_raw_text_is_trained_whole(bare: Any) -> None:
    chat = ChatFormat(bare)
    encoded = chat.encode([Message("assistant", "Once upon a time")])
    assert encoded == chat.encode_text("Once upon a time")
    assert all(encoded.mask)
    assert encoded.ids[-1] == bare.eos_token_id
    with_bos = ChatFormat(tokenizer_of("zephyr", template=None, adds_bos=True))
    encoded = with_bos.encode_text("Once upon a time")
    assert encoded.mask == [False] + [True] * (len(encoded.ids) - 1)
    assert with_bos.encode_text("<s>Once").ids.count(encoded.ids[0]) == 1
    assert with_bos.prompt_ids([]) == encoded.ids[:1]


def test_hash_tells_templates_and_tokenizers_apart(bare: Any) -> None:
    same = ChatFormat(tokenizer_of("zephyr", template=None))
    assert ChatFormat(bare).hash == same.hash
    other = ChatFormat(bare, chatml(**{"<|im_end|>": "</s>", "<|im_start|>": ""}))
    assert other.hash != same.hash
    assert other.tokenizer_hash == same.tokenizer_hash
    grown = tokenizer_of("zephyr", template=None)
    grown.add_tokens(["newword"])
    assert ChatFormat(grown).tokenizer_hash != same.tokenizer_hash
    truncating = tokenizer_of("zephyr", template=None)
    truncating(["a b c"], truncation=True, max_length=2)
    assert ChatFormat(truncating).hash == same.hash
    assert len(ChatFormat(truncating).encode_text("a b c d e f").ids) > 3


def test_the_same_rows_give_the_same_ids_every_day() -> None:
    """A template that asks for today's date is told a fixed one: caches stay valid."""
    dated = "{{ strftime_now('%d %b %Y') }}" + chatml()
    chat = ChatFormat(tokenizer_of("chatml"), dated)
    assert chat.render(QUESTION).startswith("26 Jul 2024")


def test_pieces_show_every_token(bare: Any) -> None:
    chat = ChatFormat(bare)
    encoded = chat.encode([*QUESTION, Message("assistant", "Yes, of course")])
    pieces = chat.pieces(encoded.ids, encoded.mask)
    assert [trained for _, trained in pieces] == [False, True]
    assert pieces[1][0].strip() == "Yes, of course</s>"
