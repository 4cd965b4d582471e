"""A search that first looks for a plain word finds what the pattern alone finds."""

from __future__ import annotations

import random
import re

import pytest

from residency.data.checks import answers, artefacts
from residency.overlap import compared_rows
from residency.text import secret_forms
from residency.text.hinted_pattern import HintedPattern

PIECES = (
    *("I'm sorry, I can't", "I’M SORRY, BUT I CANNOT", "as an AI language model, I don't", "ſorry"),
    *(
        "I am afraid I am not able",
        "As a AI, I'm not",
        "es tut mir leid, ich kann",
        "lo siento, no puedo",
    ),
    *(
        "I do not have access to",
        "désolée, je ne peux",
        "抱歉我无法",
        "I can",
        "the answer",
        "unable",
    ),
    *(
        "Sure!",
        "Certainly,",
        "I hope this helps",
        "LET ME KNOW IF YOU NEED",
        "feel free to ask",
        "hope",
    ),
    *(
        "<|im_start|>",
        "[INST]",
        "[/INST]",
        "<<SYS>>",
        "</s>",
        "### Response:",
        "USER:",
        "Human:",
        "#",
    ),
    *(
        "\ufffd",
        "Ã©",
        "â€™",
        "Â°",
        "ï»¿",
        "Ã",
        "&amp;",
        "&#8217;",
        "<br>",
        "</div >",
        "<",
        "&",
        "[",
        "{",
    ),
    *(
        "\n",
        "\n\n",
        " ",
        "\t",
        ": ",
        "a | b | c | d | e | f | g",
        "x, y; z (w) = v, u, t",
        "n/a",
        "None.",
    ),
    *(
        "sk-" + "a" * 40,
        "postgresql://u:pw@h",
        "-----BEGIN RSA PRIVATE KEY-----",
        "a" * 15,
        "b" * 16,
    ),
)
HINTED = [
    pytest.param(pattern, id=name)
    for module in (answers, artefacts)
    for name, pattern in vars(module).items()
    if isinstance(pattern, HintedPattern)
]


def make_texts(count: int) -> list[str]:
    rng = random.Random(3)
    texts = [*PIECES, ""]
    for _ in range(count):
        texts.append("".join(rng.choices(PIECES, k=rng.randrange(1, 9))))
    return texts


@pytest.mark.parametrize("hinted", HINTED)
def test_the_hint_hides_nothing(hinted: HintedPattern) -> None:
    found = 0
    for text in make_texts(3000):
        alone = hinted.pattern.search(text)
        mine = hinted.search(text)
        assert (mine and mine.span()) == (alone and alone.span()), text
        found += alone is not None
    assert found > 100


def test_every_text_with_a_token_is_looked_at() -> None:
    for text in make_texts(3000):
        assert secret_forms._holds_token(text) == bool(secret_forms._LONG_TOKEN.search(text)), text


def test_lines_of_few_delimiters_list_nothing() -> None:
    def lists_names(line: str) -> bool:
        gaps = len(compared_rows._DELIMITED_GAP.findall(line))
        count = len(re.findall(r"\w+", line))
        share = compared_rows.LIST_SHARE
        wanted = max(share * (compared_rows.LIST_WORDS - 1), share * (count - 1))
        return count >= compared_rows.LIST_WORDS and gaps >= wanted

    seen = {lists_names(line) for text in make_texts(3000) for line in text.split("\n")}
    assert seen == {True, False}
    for text in make_texts(3000):
        for line in text.split("\n"):
            assert compared_rows._lists_names(line) == lists_names(line), line
