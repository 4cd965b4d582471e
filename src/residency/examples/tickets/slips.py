"""Slips of a customer's pen: letters dropped, doubled and swapped."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

_SLIPS = ("drop", "double", "swap")


def add_typos(rng: random.Random, text: str, protected: Sequence[str]) -> str:
    """One or two slips of the keyboard, never inside a value that the answer must copy."""
    protected_words = {word.lower() for value in protected for word in re.findall(r"\w+", value)}
    spots = [
        match
        for match in re.finditer(r"[A-Za-z]{5,}", text)
        if match.group().lower() not in protected_words and match.group().islower()
    ]
    for match in sorted(
        rng.sample(spots, min(len(spots), rng.choice((1, 1, 2)))), key=_order_from_the_end
    ):
        text = text[: match.start()] + _slip_once(rng, match.group()) + text[match.end() :]
    return text


def _slip_once(rng: random.Random, word: str) -> str:
    """The word with one slip inside."""
    at = rng.randrange(1, len(word) - 1)
    slip = rng.choice(_SLIPS)
    if slip == "drop":
        return word[:at] + word[at + 1 :]
    if slip == "double":
        return word[:at] + word[at] + word[at:]
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def misspell_product(rng: random.Random, product: str) -> str:
    """The product, its first word, the series, with one slip that makes another word of it."""
    series, rest = product.split(" ", 1)
    while (wrong := _slip_once(rng, series)) == series:
        pass
    return f"{wrong} {rest}"


def _order_from_the_end(match: re.Match[str]) -> int:
    return -match.start()
