"""Forms of keys and of personal data: whole, in every script, and in time that grows with the text."""

from __future__ import annotations

import time

import pytest

from residency.config.guard import GuardConfig
from residency.config.moderation import ModerationConfig
from residency.moderation.open_moderator import open_moderator
from residency.text.personal_data import find_personal
from residency.text.secret_forms import find_secrets

KEYS = {
    "GitHub": "ghp_" + "aB3" * 12,
    "GitLab": "glpat-" + "aB3x" * 6,
    "GitLab CI": "glcbt-64_" + "aB3x" * 6,
    "OpenAI": "sk-proj-" + "aB3x" * 10 + "T3BlbkFJ" + "aB3x" * 5,
    "Anthropic": "sk-ant-" + "aB3x" * 10,
    "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9",
    "AWS": "AKIA" + "ABCD1234" * 2,
    "Slack": "xoxb-123456789012-123456789012-abcdefghijkl",
}


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("around", ["key {} end", "密钥是{}。", "ключ:{}", "{}"])
def test_a_key_is_found_whole_whatever_stands_before_it(name: str, around: str) -> None:
    text = around.format(KEYS[name])
    spans = [(start, end) for _, start, end in find_secrets(text)]
    start = text.index(KEYS[name])
    assert spans == [(start, start + len(KEYS[name]))]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Schreiben Sie an jürgen.müller@straße-büro.de bitte", "email address"),
        ("Пишите на иван@почта.рф, спасибо", "email address"),
        ("Пишите на ivan@mail.ru", "email address"),
        ("請寫信給wang@例子.cn。", "email address"),
        ("メールはtaro@shop.co.jpです", "email address"),
        ("電話は+81 3 1234 5678です", "telephone number"),
        ("계좌는DE89370400440532013000입니다", "IBAN"),
    ],
)
def test_personal_data_is_found_among_letters_of_every_script(text: str, kind: str) -> None:
    assert [found for found, _, _ in find_personal(text)] == [kind]


def test_an_address_does_not_take_the_words_beside_it() -> None:
    text = "メールはtaro@shop.co.jpです"
    ((_, start, end),) = find_personal(text)
    assert text[start:end] == "taro@shop.co.jp"


@pytest.mark.parametrize("dash", "-‐‑‒–—−")
def test_a_card_is_masked_whatever_dash_divides_it(dash: str) -> None:
    actions = {"personal": "mask"}
    config = ModerationConfig.model_validate({"inputs": actions, "outputs": actions})
    moderator = open_moderator(config, GuardConfig(), "output")
    text = f"Card {dash.join(['4111', '1111', '1111', '1111'])} please"
    assert moderator.moderate_text(text).text == "Card [payment card] please"


@pytest.mark.parametrize(
    "piece", ["sk-", "eyJ", "eyJaaaaaaaa.", "glpat-", "://a:", "a@", "-----BEGIN ", "ö@"]
)
def test_no_text_takes_long(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    began = time.process_time()
    find_secrets(text)
    find_personal(text)
    assert time.process_time() - began < 5.0
