"""A word is a word in every script."""

from __future__ import annotations

import re
import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from residency.text.split_key import spell_split_key
from residency.text.words import jaccard_similarity, list_ngrams, split_words

WORDS = {
    "Don't stop_it 5.99": ["don't", "stop", "it", "5", "99"],
    "L'été café": ["l'été", "café"],
    "这里禁止停车。": ["这里", "禁止", "停车"],
    "東京は日本の首都です": ["東京", "は", "日本", "の", "首都", "です"],
    "ประเทศไทยมีประชากรมาก": ["ประเทศไทย", "มี", "ประชากร", "มาก"],
    "한국어 문장은 띄어쓰기": ["한국어", "문장은", "띄어쓰기"],
    "বাংলা ভাষা": ["বাংলা", "ভাষা"],
    "हिन्दी में": ["हिन्दी", "में"],
    "שָׁלוֹם צה״ל": ["שָׁלוֹם", "צה״ל"],
    "می‌خواهم بروم": ["می‌خواهم", "بروم"],
    "第3章iPhone手机": ["第", "3", "章", "iphone", "手机"],
    "co\u00adoperate": ["cooperate"],
}


@pytest.mark.parametrize("text", WORDS)
def test_pain_41_words_of_every_script(text: str) -> None:
    expected = [unicodedata.normalize("NFC", word) for word in WORDS[text]]
    assert split_words(text) == expected


def test_a_composed_and_a_decomposed_letter_are_the_same_word() -> None:
    assert split_words("cafe\u0301") == split_words("café") == ["café"]
    assert split_words(unicodedata.normalize("NFD", "한국어")) == ["한국어"]


def test_vowel_signs_tell_words_apart() -> None:
    assert split_words("কলা") != split_words("কালো")


@pytest.mark.parametrize(
    ("text", "translation"),
    [
        (
            "北京是中国的首都，人口超过两千万。",
            "Beijing is the capital of China, over twenty million.",
        ),
        (
            "東京は日本の首都で、多くの人が住んでいます。",
            "Tokyo is the capital of Japan and many people live there.",
        ),
        (
            "ประเทศไทยมีประชากรมากกว่าหกสิบล้านคน",
            "Thailand has a population of over sixty million people.",
        ),
    ],
)
def test_lengths_mean_what_they_mean_in_english(text: str, translation: str) -> None:
    ratio = len(split_words(text)) / len(split_words(translation))
    assert 0.6 < ratio < 1.7


def test_thirteen_words_in_common_are_not_thirteen_characters() -> None:
    instruction = "请根据以下内容写一段简短的总结。"
    a, b = instruction + "昨天下雨，比赛推迟了。", instruction + "公司今年的利润增长了。"
    shared = set(list_ngrams(split_words(a), 13)) & set(list_ngrams(split_words(b), 13))
    assert not shared
    assert jaccard_similarity(split_words(a), split_words(b)) < 0.8


@given(st.text(st.characters(max_codepoint=127), max_size=100))
def test_ascii_words_are_what_they_always_were(text: str) -> None:
    expected = re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower())
    assert split_words(text) == expected
    assert spell_split_key(text) == " ".join(expected)


@given(st.text(max_size=100))
def test_words_hold_letters_or_digits_and_no_space(text: str) -> None:
    for word in split_words(text):
        assert regex.match(r"[\p{L}\p{N}]", word) and not any(
            character.isspace() for character in word
        )


def test_the_key_of_a_split_stays_as_it_was() -> None:
    assert spell_split_key("这里 Don't বাংলা") == "这 里 don't ব ল"
