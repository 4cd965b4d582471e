"""Kinds of failure, verdicts and figures in plain words."""

from __future__ import annotations

import math
from datetime import timedelta

from residency.nouns.issue import Issue

COMMON = ("misspelling", "overlong", "repetition", "inconsistency", "hallucination")
"""The five recurring issues of language models; tables show them first."""

KINDS: dict[str, str] = {
    "misspelling": "A word that is no word, one or two slips away from a frequent one. Words of "
    "the prompt and of the training data are exempt.",
    "overlong": "Much longer than the reference or the task's budget, or stopped by the token "
    "limit instead of the end token.",
    "repetition": "The same words again and again: repeated n-grams, or a loop at the end.",
    "inconsistency": "Another answer to the same request in other words, or to the same prompt "
    "sampled again.",
    "hallucination": "A value, number, name or date in the answer that the message does not "
    "support.",
    "format": "The answer does not have the wanted form (fields, order of fields, schema).",
    "empty": "Nothing was written.",
    "dissimilar": "Its meaning is far from the reference's (cosine of sentence embeddings).",
    "stop_words": "A phrase appears that must not.",
    "length": "Shorter or longer than the suite allows.",
    "wrong": "Not the reference's answer.",
}
"""What each kind means. ``KIND:FIELD`` is the same for one field of the answer."""

STATUSES: dict[str, str] = {
    "resolved": "The failure rate is now within the tolerance, and the fall is significant.",
    "improved": "The fall is significant, but the rate is still above the tolerance.",
    "persisting": "No significant fall, and the failure is certainly still there.",
    "inconclusive": "Too few items to show either a change or its absence.",
    "regressed": "The failure rate rose significantly.",
    "new": "Found in this round; the earlier model did not show it.",
    "newly detected": "Found in this round; the earlier model shows it as well.",
    "open": "Not judged yet.",
}
"""What each status of an issue claims."""


def kind_order(kind: str) -> tuple[int, str]:
    """Sort key: the five common kinds, then wrong fields and format, then the rest."""
    if kind in COMMON:
        return COMMON.index(kind), kind
    if kind.startswith("wrong"):
        return len(COMMON), kind
    return len(COMMON) + (1 if kind == "format" else 2), kind


def kind_words(kind: str) -> str:
    """``wrong:urgency`` → ``wrong urgency``."""
    head, _, field = kind.partition(":")
    head = head.replace("_", " ")
    return (
        f"{head} {field}" if head == "wrong" and field else f"{head} ({field})" if field else head
    )


def issue_title(issue: Issue) -> str:
    """An issue's title with its kind in words."""
    return issue.title.replace(issue.kind, kind_words(issue.kind)) or kind_words(issue.kind)


def kind_meaning(kind: str) -> str:
    """The kind's definition; of its first part when the kind is ``KIND:FIELD``."""
    head, _, field = kind.partition(":")
    if head == "wrong" and field:
        return f"The field {field} differs from the reference's, compared without case and spacing."
    return KINDS.get(kind, KINDS.get(head, "A check of the project's test suite."))


def percent(value: float | None, digits: int = 1) -> str:
    """``0.1234`` → ``12.3 %`` (no line break inside); an en dash where there is nothing."""
    if value is None or math.isnan(value):
        return "–"
    return f"{100 * value:.{digits}f}\u00a0%"


def number(value: float | None, digits: int) -> str:
    """A figure with so many digits after the point; an en dash where there is nothing."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.{digits}f}"


def points(value: float | None) -> str:
    """A difference in percentage points with its sign, e.g. ``+12.3``."""
    if value is None or math.isnan(value):
        return "–"
    return f"{100 * value:+.1f}".replace("-", "−")


def interval(low: float, high: float, *, signed: bool = False) -> str:
    """``12.3 to 15.6``, in percent or percentage points."""
    if signed:
        return f"{points(low)} to {points(high)}"
    return f"{100 * low:.1f} to {100 * high:.1f}"


def duration(seconds: float) -> str:
    """``75`` → ``1 min 15 s``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    total = timedelta(seconds=round(seconds))
    hours, rest = divmod(total.seconds + 86400 * total.days, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left:02d} s"


def e_value(value: float) -> str:
    """An e-value with the digits that matter."""
    if math.isinf(value):
        return "∞"
    if value >= 1000:
        exponent = math.floor(math.log10(value))
        return f"{value / 10**exponent:.1f}·10{str(exponent).translate(_SUPERSCRIPT)}"
    return f"{value:.3g}"


_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
