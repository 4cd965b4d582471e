"""Every chat template that the installed trl ships: what is asked is what is trained, and it ends."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from chat_families import conversation
from residency.chat.chat_format import ChatFormat, Encoded
from residency.errors import TemplateError
from residency.nouns.example import Message
from residency.text.reasoning import find_answer

trl = pytest.importorskip("trl", reason="the templates are read from trl")
TEMPLATES = Path(trl.__file__).parent / "chat_templates"
NAMES = sorted(p.stem for p in TEMPLATES.glob("*.jinja") if not p.stem.endswith("_training"))
MARKS = re.compile(
    r"<[|｜][^<>\n]{1,40}[|｜]>|<\|[a-z_]{1,20}>|<[a-z_]{1,20}\|>|</?[A-Za-z_]{1,30}>"
)
ENDS = (
    "<|im_end|>", "<|end_of_text|>", "<eos>", "</s>", "<｜end▁of▁sentence｜>", "<|return|>",
    "<|END_OF_TURN_TOKEN|>", "<end_of_utterance>",
)  # fmt: skip
BEGINS = ("<bos>", "<s>", "<|begin_of_text|>", "<｜begin▁of▁sentence｜>")
NOT_CONTROL = re.compile(r"think|tool|arg_|function|parameter|param|result|call>")


def tokenizer_for(template: str) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer without merges in which the template's marks are tokens."""
    marks = list(dict.fromkeys(MARKS.findall(template)))
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={c: n for n, c in enumerate(letters)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    control = [m for m in marks if not NOT_CONTROL.search(m)]
    raw.add_special_tokens([AddedToken(m, normalized=False) for m in [*control, "<EOS>", "<BOS>"]])
    raw.add_tokens([AddedToken(m, normalized=False) for m in marks if m not in control])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token=next((m for m in ENDS if m in marks), "<EOS>"),
        bos_token=next((m for m in BEGINS if m in marks), "<BOS>"),
    )
    fast.chat_template = template
    return fast


def made(name: str) -> ChatFormat:
    return ChatFormat(tokenizer_for((TEMPLATES / f"{name}.jinja").read_text()))


@pytest.mark.parametrize("name", NAMES)
def test_pain_01_the_mask_holds_the_answer_and_its_end_for_every_template(name: str) -> None:
    chat = made(name)
    taught = 0
    for seed in range(25):
        messages = conversation(random.Random(seed), system=seed % 3 == 0, thinking=seed % 2 == 1)
        try:
            prompt = chat.prompt_ids(messages[:-1])
        except TemplateError:
            assert any(m.role == "system" for m in messages)  # no such role in this template
            continue
        encoded = chat.encode(messages)
        taught += 1
        assert encoded.ids[: len(prompt)] == prompt
        assert not any(encoded.mask[: len(prompt)]) or len(messages) > 2
        first = encoded.mask.index(True, len(prompt))
        assert first == len(prompt)
        answer = encoded.ids[len(prompt) :]
        trained = [i for i, m in zip(answer, encoded.mask[len(prompt) :], strict=True) if m]
        assert trained == answer[: len(trained)]  # one run, no hole
        assert trained[-1] in chat.end_ids
        assert not set(trained[:-1]) & set(chat.end_ids[:1])
        assert messages[-1].text in chat._backend.decode(trained, skip_special_tokens=False)
    assert taught > 8


@pytest.mark.parametrize("name", NAMES)
def test_pain_04_what_is_trained_is_what_is_read_back(name: str) -> None:
    """Generation that writes exactly the trained tokens gives the answer back, and stops."""
    chat = made(name)
    for seed in range(12):
        messages = conversation(random.Random(seed), system=False, turns=1)
        prompt = chat.prompt_ids(messages[:-1])
        encoded = chat.encode(messages)
        trained = [i for i, m in zip(encoded.ids, encoded.mask, strict=True) if m]
        assert encoded.ids[: len(prompt)] + trained == encoded.ids[: len(prompt) + len(trained)]
        text = chat.decode(trained)
        assert text.strip() == messages[-1].text.strip()


@pytest.mark.parametrize("name", ["deepseek_r1_distill", "nemotron_3_nano", "deepseekv3"])
def test_thinking_that_the_prompt_opens_is_closed_in_what_is_trained(name: str) -> None:
    chat = made(name)
    assert "thinking" in " ".join(chat.notes)
    question = Message("user", "Hello")
    for answer in (
        Message("assistant", "Yes.", thinking="It is so."),
        Message("assistant", "<think>\nIt is so.\n</think>\n\nYes."),
        Message("assistant", "It is so.\n</think>\n\nYes."),
    ):
        encoded = chat.encode([question, answer])
        trained = [i for i, m in zip(encoded.ids, encoded.mask, strict=True) if m]
        text = chat._backend.decode(trained, skip_special_tokens=False)
        assert re.match(r"It is so\.\n</think>\n+Yes\.", text), text
        assert chat.decode_thinking(trained) == ("It is so.", "Yes.")


@pytest.mark.parametrize("name", NAMES)
def test_pain_42_an_answer_is_read_without_its_thinking_for_every_template(name: str) -> None:
    """Also where control tokens stand between the two, which a plain decoding leaves out."""
    chat = made(name)
    for seed in range(12):
        messages = conversation(random.Random(seed), system=False, turns=1)
        answer = Message("assistant", messages[-1].content, thinking="It may be final, so yes.")
        encoded = chat.encode([messages[0], answer])
        trained = [i for i, m in zip(encoded.ids, encoded.mask, strict=True) if m]
        thinking, text = chat.decode_thinking(trained)
        assert text.strip() == answer.text.strip()
        assert "It may be final, so yes." in thinking or not thinking


WRITTEN = [  # template, what its model writes, thinking, answer
    ("gptoss", "<|channel|>final<|message|>Yes.", "", "Yes."),
    ("gptoss", "<|channel|>analysis<|message|>So.<|end|><|start|>assistant<|channel|>final<|message|>Yes.", "So.", "Yes."),
    ("gptoss", "<|channel|>analysis<|message|>So", "", "<|channel|>analysis<|message|>So"),
    ("gptoss", "<|channel|>final", "", ""),
    ("gptoss", "Yes.", "", "Yes."),
    ("gemma4_v5", "<|channel>thought\nSo.\n<channel|>Yes.", "So.", "Yes."),
    ("gemma4_v5", "<|channel>thought\n<channel|>Yes.", "", "Yes."),
    ("gemma4_v5", "<|channel>thought\nSo", "", "<|channel>thought\nSo"),
    ("gemma4_v5", "I thought so.", "", "I thought so."),
    ("muse_glimmer", " to=user<|message|>Yes.", "", "Yes."),
]  # fmt: skip


@pytest.mark.parametrize(("name", "written", "thinking", "answer"), WRITTEN)
def test_pain_42_channels_are_no_part_of_an_answer(
    name: str, written: str, thinking: str, answer: str
) -> None:
    """A text that breaks off in its thinking keeps its marks, so grading sees that it was cut."""
    chat = made(name)
    ids = chat._backend.encode(written, add_special_tokens=False).ids
    assert chat.decode_thinking(ids) == (thinking, answer)
    if not thinking and answer.startswith("<|"):
        assert find_answer(answer, cut=True).cut_in_reasoning


def test_thinking_is_not_trained_after_a_prompt_that_has_closed_it() -> None:
    chat = made("qwen3_5_nothink")
    assert "without thinking" in " ".join(chat.notes)
    question = Message("user", "Hello")
    plain = chat.encode([question, Message("assistant", "Yes.")])
    for answer in (
        Message("assistant", "Yes.", thinking="It is so."),
        Message("assistant", "<think>\nIt is so.\n</think>\n\nYes."),
        Message("assistant", "It is so.\n</think>\n\nYes."),
    ):
        assert chat.encode([question, answer]) == plain  # what the prompt asks for
    call = {"type": "function", "function": {"name": "find", "arguments": {"q": "x"}}}
    asks = [question, Message("assistant", "", tool_calls=(call,), thinking="I look it up.")]
    trained = [text for text, learn in chat.pieces(*read_pair(chat.encode(asks))) if learn]
    assert len(trained) == 1 and "find" in trained[0] and "look it up" not in trained[0]
    turns = [*asks, Message("tool", "Result 5"), Message("assistant", "It is 5.", thinking="So.")]
    encoded = chat.encode(turns)
    pieces = chat.pieces(*read_pair(encoded))
    assert [text for text, learn in pieces if learn][-1] == "It is 5.<|im_end|>"
    thinks = ("qwen3", "qwen3_5_think", "deepseek_r1_distill", "qwen2_5", "llama3")
    assert not any("without thinking" in " ".join(made(name).notes) for name in thinks)


def read_pair(encoded: Encoded) -> tuple[list[int], list[bool]]:
    return encoded.ids, encoded.mask


def test_a_template_without_an_end_token_ends_with_the_next_turn() -> None:
    chat = made("glm4moe")
    assert "no end token" in " ".join(chat.notes)
    user = Message("user", "Hello")
    encoded = chat.encode([user, Message("assistant", "Yes."), user, Message("assistant", "No.")])
    pieces = chat.pieces(encoded.ids, encoded.mask)
    assert [text.endswith("<|user|>") for text, trained in pieces if trained] == [True, True]
    tools = ({"type": "function", "function": {"name": "find", "arguments": {"q": "x"}}},)
    called = chat.encode([user, Message("assistant", "", tool_calls=tools)])
    text = chat.pieces(called.ids, called.mask)[-1][0]
    assert text.endswith("<|observation|>")


def test_a_system_message_is_folded_only_when_asked() -> None:
    template = (TEMPLATES / "gemma.jinja").read_text()
    turns: list[Any] = [Message("system", "Be kind."), Message("user", "Hello")]
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    for text in (refusing + template,):
        with pytest.raises(TemplateError, match="system"):
            ChatFormat(tokenizer_for(text), text).prompt_ids(turns)
        folded = ChatFormat(tokenizer_for(text), text, fold_system=True)
        assert "Be kind.\n\nHello" in folded.render(turns, prompt=True)
        exported = tokenizer_for(folded.template)  # a server that knows the template alone
        dicts = [{"role": m.role, "content": m.text} for m in turns]
        ids = exported.apply_chat_template(dicts, add_generation_prompt=True)["input_ids"]
        assert exported.decode(ids) == folded.render(turns, prompt=True)
        encoded = folded.encode([*turns, Message("assistant", "Yes")])
        assert folded.prompt_ids(turns) == encoded.ids[: len(folded.prompt_ids(turns))]
    chatml = (TEMPLATES / "qwen2_5.jinja").read_text()
    assert ChatFormat(tokenizer_for(chatml), chatml, fold_system=True).template.endswith(chatml)


def trained(chat: ChatFormat, turns: list[Message]) -> list[str]:
    encoded = chat.encode(turns)
    return [text for text, learn in chat.pieces(encoded.ids, encoded.mask) if learn]


def test_an_end_token_that_stands_between_turns_alone_ends_the_last_one_too() -> None:
    """Qwen1.5 closes every turn but the last: its end token closes the user's turns as well."""
    text = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content }}"
        "{% if (loop.last and add_generation_prompt) or not loop.last %}{{ '<|im_end|>' + '\n' }}"
        "{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    chat = ChatFormat(tokenizer_for(text))
    turns = [Message("user", "Hello"), Message("assistant", "Yes.")] * 2
    assert trained(chat, turns) == ["Yes.<|im_end|>", "Yes.<|im_end|>"]
    assert "<|im_end|>" in " ".join(chat.notes)


HEADED = (
    "{% for m in messages %}{{ '### ' + m.role + ':\n' + m.content + '\n\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '### assistant:\n' }}{% endif %}"
)
NAMED = (
    "{% for m in messages %}{% if not loop.first %}{{ '\n' }}{% endif %}{{ m.role + ': ' + m.content }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '\nassistant: ' }}{% endif %}"
)


@pytest.mark.parametrize("text", [HEADED, NAMED], ids=["SOLAR", "Falcon"])
def test_without_any_end_token_the_tokenizers_own_ends_the_last_answer(text: str) -> None:
    """Nothing tells where an answer ends but the next turn: the model would write that one too."""
    tokenizer = tokenizer_for(text)
    chat = ChatFormat(tokenizer)
    turns = [Message("user", "Hello"), Message("assistant", "Yes.\n\nNo.")] * 2
    end = tokenizer.eos_token
    assert trained(chat, turns) == [f"Yes.\n\nNo.{end}"], "earlier answers are context"
    encoded = chat.encode(turns)
    assert encoded.context_turns == (1,)
    asked = chat.prompt_ids(turns[:-1])
    assert encoded.ids[: len(asked)] == asked, "what is trained is what is asked"
    assert chat.decode(encoded.ids[len(asked) :]) == "Yes.\n\nNo."
    assert end in " ".join(chat.notes) and "context" in " ".join(chat.notes)
    tokenizer.eos_token = None
    with pytest.raises(TemplateError, match="no end token follows"):
        ChatFormat(tokenizer)


DROPPING = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ '<|user|>' + m.content }}"
    "{% elif m.role == 'assistant' %}{{ '<|bot|>' + m.content + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|bot|>' }}{% endif %}"
)
IN_THE_LAST_QUESTION = (
    "{% if messages[0].role == 'system' %}{% set told = messages[0].content + '\n\n' %}"
    "{% set messages = messages[1:] %}{% endif %}{% for m in messages %}"
    "{% if m.role == 'user' %}{{ '<|user|>' + (told if loop.last and told is defined else '') }}"
    "{{ m.content + '<|bot|>' }}{% else %}{{ m.content + eos_token }}{% endif %}{% endfor %}"
)


@pytest.mark.parametrize("text", [DROPPING, IN_THE_LAST_QUESTION], ids=["dropped", "last"])
def test_a_system_message_is_never_lost_silently(text: str) -> None:
    """Llama 2's short templates leave it out; Mistral Nemo asks with it, and would train without."""
    turns = [
        Message("system", "Be kind."),
        *[Message("user", "Hello"), Message("assistant", "Yes.")] * 2,
    ]
    chat = ChatFormat(tokenizer_for(text))
    assert not chat.writes_system
    assert trained(chat, turns[1:]) == ["Yes.<EOS>", "Yes.<EOS>"]
    for call in (lambda: chat.encode(turns), lambda: chat.prompt_ids(turns[:2])):
        with pytest.raises(TemplateError, match="leaves the system message out") as caught:
            call()
        assert "fold_system = true" in str(caught.value)
    folded = ChatFormat(tokenizer_for(text), fold_system=True)
    assert "Be kind.\n\nHello" in folded.render(turns)
    assert trained(folded, turns) == ["Yes.<EOS>", "Yes.<EOS>"]
    assert folded.encode(turns).ids[: len(folded.prompt_ids(turns[:2]))] == folded.prompt_ids(
        turns[:2]
    )
