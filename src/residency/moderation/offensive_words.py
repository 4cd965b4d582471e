"""A small classifier of offensive English that works without a network.

Its weights are those of alt-profanity-check 1.9.1 (MIT; see ``offensive_weights.LICENSE``), a mean of
five calibrated linear classifiers over tf-idf of words, written as safetensors so that nothing is
unpickled; ``benchmarks/moderation_weights.py`` wrote the file. It knows English words alone, and takes
words of other languages for them (German *die*): a sentence with more small words of other European
languages than of English is not judged.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from residency.config.moderation import JudgeGroup
from residency.moderation.fold_text import fold_text
from residency.moderation.judge import Hit
from residency.text.function_words import FUNCTION_WORDS, PRONOUNS_AND_AUXILIARIES

WEIGHTS = "offensive_weights.safetensors"
_WORD = re.compile(r"(?u)\b\w\w+\b")
_ENGLISH = FUNCTION_WORDS | PRONOUNS_AND_AUXILIARIES | {"my", "me", "no", "not", "so", "what"}
_FOREIGN_WORDS = """
der das und ist nicht ein eine einen einem ich sie mich mir dir wir ihr wurde zum zur von mit für auf den
dem sich auch bitte wird sind haben bin bist dich du het een van niet voor zijn
le la les une je vous nous est et dans pour pas qui sur mon au du ce cette votre
el los las una que por está con para se mi su es del os um uma não il lo gli che di è non
"""
_FOREIGN = frozenset(_FOREIGN_WORDS.split())
"""Small words of German, Dutch, French, Spanish, Portuguese and Italian; none is an English word."""


class OffensiveWordsJudge:
    """Sentences that are offensive by their words.

    Args:
        threshold: probability from which a sentence is a hit.
    """

    group: JudgeGroup = "offensive"
    version = "offensive words 1"

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def find(self, text: str) -> list[Hit]:
        """One hit, over all of the text, or none."""
        folded = fold_text(text).text
        score = 0.0 if _is_foreign(folded) else score_offence(folded)
        start, end = len(text) - len(text.lstrip()), len(text.rstrip())
        if score < self.threshold or start >= end:
            return []
        return [Hit("offensive", "offensive", start, end, round(score, 4))]


def score_offence(text: str) -> float:
    """Probability from 0 to 1 that the text is offensive."""
    vocabulary, weights = _load_weights()
    counts = Counter(_WORD.findall(text.lower()))
    known = [(vocabulary[word], count) for word, count in counts.items() if word in vocabulary]
    decision = weights["intercept"].astype(np.float64)
    if known:
        places = np.array([index for index, _ in known])
        values = np.array([count for _, count in known]) * weights["idf"][places]
        values /= math.sqrt(float(values @ values))
        decision = decision + weights["coef"][:, places].astype(np.float64) @ values
    slope, offset = weights["slope"], weights["offset"]
    return float(np.mean(1 / (1 + np.exp(slope * decision + offset))))


def _is_foreign(text: str) -> bool:
    words = _WORD.findall(text.lower())
    return sum(word in _FOREIGN for word in words) > sum(word in _ENGLISH for word in words)


@lru_cache(maxsize=1)
def _load_weights() -> tuple[dict[str, int], dict[str, Any]]:
    from safetensors.numpy import load

    weights = load(resources.files("residency.moderation").joinpath(WEIGHTS).read_bytes())
    words = weights.pop("words").tobytes().decode("utf-8").split("\n")
    return {word: index for index, word in enumerate(words)}, weights
