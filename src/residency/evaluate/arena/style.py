"""Style covariates: how much of a preference is length and formatting.

For a feature f the covariate of a comparison is (f_a − f_b)/(f_a + f_b + 1), divided by its
root mean square over all comparisons (after Chatbot Arena's style control). It is not centred:
so swapping the sides flips its sign and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from residency.evaluate.arena.bradley_terry import Floats
from residency.text.words import split_words

STYLE_FEATURES = ("length", "headings", "lists", "bold")

_HEADING = re.compile(r"^ {0,3}#{1,6}\s", re.MULTILINE)
_LIST = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+\S", re.MULTILINE)
_BOLD = re.compile(r"(\*\*|__)(?=\S).+?\1")


def measure_style(text: str) -> tuple[int, int, int, int]:
    """Words, Markdown headings, list items and bold passages of a text."""
    return (
        len(split_words(text)),
        len(_HEADING.findall(text)),
        len(_LIST.findall(text)),
        len(_BOLD.findall(text)),
    )


def style_covariates(a: Sequence[str], b: Sequence[str]) -> Floats:
    """(N, 4) covariates of N comparisons; a feature that never differs stays 0."""
    left = np.array([measure_style(text) for text in a], np.float64).reshape(
        -1, len(STYLE_FEATURES)
    )
    right = np.array([measure_style(text) for text in b], np.float64).reshape(
        -1, len(STYLE_FEATURES)
    )
    difference = (left - right) / (left + right + 1)
    size = np.sqrt((difference**2).mean(axis=0)) if len(difference) else np.ones(4)
    return np.asarray(difference / np.where(size == 0, 1, size), np.float64)
