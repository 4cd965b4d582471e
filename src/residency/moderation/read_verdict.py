"""What a guard says: the words of a guard model, or the fields of ``/moderations``.

A guard model answers ``unsafe`` and categories (Llama Guard), ``Yes`` (ShieldGemma), lines such as
``Harmful request: yes`` (WildGuard) and ``Safety: Controversial`` (Qwen3Guard), or JSON with
``"User Safety": "unsafe"`` (NemoGuard). A verdict is read where one begins: a sentence in which both
words stand, or one that is denied, is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from residency.text.reasoning import find_answer

MOST_CATEGORIES, LONGEST_NAME = 20, 40
_BAD = "unsafe|yes|harmful|toxic|violation|controversial"
_GOOD = "safe|no|unharmful|harmless|none"
_VALUE = re.compile(rf"[\W_]*(?:<\w+>\s*)?(?:(?P<bad>{_BAD})|(?P<good>{_GOOD}))\b", re.IGNORECASE)
_WORDS = re.compile(rf"\b(?:(?P<bad>{_BAD})|(?P<good>{_GOOD}))\b", re.IGNORECASE)
_LABEL = re.compile(r"[\"'\w /-]{0,60}?[\"']?\s*:\s*")
_NOT_SAFETY = re.compile(r"refus|categor|reason|explan|policy|score", re.IGNORECASE)
"""Labels whose value is another thing: WildGuard tells also whether the answer refuses."""
_DENIAL = re.compile(r"\b(?:not|cannot|never|nor)\b|n['’]t\b", re.IGNORECASE)
_CATEGORY = re.compile(r"\bS\d{1,2}\b")
_UNFIT = re.compile(r"[^\w /.:-]+")


def read_words(text: str) -> list[str]:
    """Categories that a guard model names; empty where it calls the text safe.

    Raises:
        ValueError: there is no verdict in it.
    """
    place = find_answer(text, cut=True)  # a reasoning that never ends holds no verdict
    if place.cut_in_reasoning:
        raise ValueError("cut within its reasoning")
    answer = text[place.start : place.end]
    verdicts = [verdict for verdict in map(_read_line, re.split(r"[\n,{}]", answer)) if verdict]
    if not verdicts and not _DENIAL.search(answer):
        verdicts = list({match.lastgroup or "" for match in _WORDS.finditer(answer)})
        verdicts = verdicts if len(verdicts) == 1 else []
    if not verdicts:
        raise ValueError("no verdict")
    if "bad" not in verdicts:
        return []
    return sorted(set(_CATEGORY.findall(answer))) or ["unsafe"]


def _read_line(line: str) -> str:
    """``bad`` or ``good`` where a line, or what stands behind its label, begins with a verdict."""
    label = _LABEL.match(line)
    if label and _NOT_SAFETY.search(label[0]):
        return ""
    match = _VALUE.match(line, label.end() if label else 0) or _VALUE.match(line)
    return (match.lastgroup or "") if match else ""


def read_moderation(raw: Any) -> list[str]:
    """Categories of an answer of ``/moderations``; empty where nothing is flagged.

    A server that judges a long text in parts sends several results: one that is flagged is enough.
    Scores are no verdicts, and missing categories leave the verdict as it is.

    Raises:
        KeyError, IndexError, TypeError, AttributeError: no verdict can be read.
    """
    flagged, names = False, list[str]()
    if not raw["results"]:
        raise IndexError("no result")
    for result in raw["results"]:
        if not isinstance(result["flagged"], bool):
            raise TypeError("flagged is neither true nor false")
        categories = result.get("categories")
        if not isinstance(categories, Mapping):
            categories = {}
        seen = [_clean_name(name) for name, value in categories.items() if value is True]
        flagged = flagged or result["flagged"] or bool(seen)
        names += seen
    return (list(dict.fromkeys(names))[:MOST_CATEGORIES] or ["flagged"]) if flagged else []


def _clean_name(name: object) -> str:
    return _UNFIT.sub(" ", str(name)).strip()[:LONGEST_NAME] or "unnamed"
