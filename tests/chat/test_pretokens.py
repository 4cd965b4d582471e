"""The pre-token cache gives the tokenizer's own ids, or says that it cannot."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from chat_families import conversation, tokenizer_of
from residency.chat.chat_format import ChatFormat
from residency.chat.pretoken_cache import PretokenCache

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def trained(pre: Any) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [m.content for n in range(80) for m in conversation(random.Random(n))]
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def byte_level(use_regex: bool) -> Any:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def split(pattern: str) -> Any:
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated"), byte_level(False)]
    )


KINDS = {
    "gpt2": byte_level(True),
    "smollm2": pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), byte_level(True)]
    ),
    "llama3": split(LLAMA3),
    "qwen": split(QWEN),
}
_MADE: dict[str, tuple[Tokenizer, PretokenCache | None]] = {}


def made(kind: str) -> tuple[Tokenizer, PretokenCache]:
    if kind not in _MADE:
        tokenizer = trained(KINDS[kind])
        _MADE[kind] = tokenizer, PretokenCache.build_cache(tokenizer)
    tokenizer, cache = _MADE[kind]
    assert cache is not None
    return tokenizer, cache


TEXT = st.text(max_size=60) | st.text(
    st.sampled_from("ab Z9'sS\n\t\r.,-_<|>im_startend{}é漢\x00\x1c\x85\u3000"), max_size=80
)


@settings(max_examples=300, deadline=None)
@given(TEXT, st.sampled_from(sorted(KINDS)))
def test_ids_are_the_tokenizers_own(text: str, kind: str) -> None:
    tokenizer, cache = made(kind)
    found = cache.encode(text)
    assert found is not None
    assert found[0] == tokenizer.encode(text, add_special_tokens=False).ids


@settings(max_examples=300, deadline=None)
@given(TEXT, TEXT, st.sampled_from(sorted(KINDS)))
def test_a_place_counts_the_tokens_of_the_text_before_it(left: str, right: str, kind: str) -> None:
    """Whenever it answers, what lies before the place is what that text gives alone."""
    tokenizer, cache = made(kind)
    found = cache.encode(left + right, [len(left)])
    if found is not None:
        alone = tokenizer.encode(left, add_special_tokens=False).ids
        assert found[0][: found[1][0]] == alone
        assert found[0] == tokenizer.encode(left + right, add_special_tokens=False).ids


def test_it_answers_for_chat_rows() -> None:
    """The fast path is taken for plain rows, or it would be of no use."""
    tokenizer = tokenizer_of("qwen2_5")
    chat = ChatFormat(tokenizer)
    cache = chat._divided.cache
    assert cache is not None
    text = "<|im_start|>user\nHello there<|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>\n"
    start, end = text.index("Yes"), text.rindex("<|im_end|>") + len("<|im_end|>")
    found = cache.encode(text, [start, end])
    assert found is not None
    ids, (first, stop) = found
    assert chat.decode(ids[first:stop]) == "Yes."
    assert ids[stop - 1] in chat.end_ids


@pytest.mark.parametrize("family", ["gemma", "mistral", "phi3"])
def test_tokenizers_of_another_kind_have_no_cache(family: str) -> None:
    assert ChatFormat(tokenizer_of(family))._divided.cache is None


def test_a_pre_tokenizer_that_is_not_understood_has_no_cache() -> None:
    assert PretokenCache.build_cache(trained(split(r"\p{Lu}+|[^\p{Lu}]+"))) is None
    prefix = pre_tokenizers.ByteLevel(add_prefix_space=True)
    assert PretokenCache.build_cache(trained(prefix)) is None


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(st.sampled_from("abZ9'.,-_\n<|>é"), max_size=8), max_size=12),
    st.sampled_from(sorted(KINDS)),
    st.data(),
)
def test_spaces_that_stand_alone(runs: list[str], kind: str, data: st.DataObject) -> None:
    """The way without the regular expression, with places anywhere."""
    tokenizer, cache = made(kind)
    text = " ".join(runs)
    place = data.draw(st.integers(0, len(text)))
    own = tokenizer.encode(text, add_special_tokens=False).ids
    head = tokenizer.encode(text[:place], add_special_tokens=False).ids
    found = cache.encode(text, [place])
    if found is None:
        return
    assert found[0] == own
    assert own[: found[1][0]] == head


def test_a_place_is_counted_exactly_where_the_ids_can_be_divided() -> None:
    tokenizer, cache = made("smollm2")
    text = "user asks 12 things\nassistant says so"
    own = tokenizer.encode(text, add_special_tokens=False).ids
    answers = 0
    for place in range(len(text) + 1):
        head = tokenizer.encode(text[:place], add_special_tokens=False).ids
        divides = own[: len(head)] == head
        assert cache.encode(text, [place]) == ((own, [len(head)]) if divides else None)
        answers += divides
    assert 5 < answers < len(text)


def test_long_runs_are_not_kept() -> None:
    tokenizer, cache = made("gpt2")
    text = "x " + "ab" * 500
    found = cache.encode(text)
    assert found is not None
    assert found[0] == tokenizer.encode(text, add_special_tokens=False).ids
    assert max(map(len, [*cache._known, *cache._after_space])) <= 64
