"""A kind of failure in one place: its words, its meaning, and its order.

A kind is ``HEAD`` or ``HEAD:FIELD``, where the field is one of the answer.
"""

from __future__ import annotations

from residency.nouns.issue import Issue
from residency.plugins import find_plugins

COMMON_KINDS = ("misspelling", "overlong", "repetition", "inconsistency", "hallucination")
"""The five recurring issues of language models; tables show them first."""

KIND_MEANINGS: dict[str, str] = {
    "misspelling": "A word that is no word, one or two slips away from a frequent one. Words of "
    "the prompt and of the training data are exempt.",
    "overlong": "Much longer than the reference or the task's budget, or stopped by the token "
    "limit instead of the end token.",
    "repetition": "The same words again and again: repeated n-grams, or a loop at the end.",
    "inconsistency": "Another answer to the same request in other words, or to the same prompt "
    "sampled again.",
    "hallucination": "A value, number, name or date in the answer, or a whole sentence, that the "
    "message does not support, or that it denies.",
    "format": "The answer does not have the wanted form (fields, order of fields, schema).",
    "empty": "Nothing was written.",
    "dissimilar": "Its meaning is far from the reference's (cosine of sentence embeddings).",
    "stop_words": "A phrase appears that must not.",
    "length": "Shorter or longer than the suite allows.",
    "wrong": "Not the reference's answer.",
}
"""What each head means."""

KIND_LIMITS: dict[str, str] = {
    "misspelling": "English alone; a slip that makes another word is not seen",
    "hallucination": "a lower bound: of summary sentences that people called unsupported the detector "
    "flags 7 to 17 %, since most are made of the source's own words",
}
"""What a rate of a kind cannot say; docs/detectors.md has the figures."""


def kind_order(kind: str) -> tuple[int, str]:
    """Sort key: the five common kinds, then wrong fields and format, then the rest."""
    if kind in COMMON_KINDS:
        return COMMON_KINDS.index(kind), kind
    if kind.startswith("wrong"):
        return len(COMMON_KINDS), kind
    return len(COMMON_KINDS) + (1 if kind == "format" else 2), kind


def kind_words(kind: str) -> str:
    """``wrong:urgency`` → ``wrong urgency``."""
    head, _, field = kind.partition(":")
    head = head.replace("_", " ")
    if not field:
        return head
    return f"{head} {field}" if head == "wrong" else f"{head} ({field})"


def kind_meaning(kind: str) -> str:
    """The kind's definition; of its head when the kind is ``HEAD:FIELD``."""
    head, _, field = kind.partition(":")
    if head == "wrong" and field:
        return f"The field {field} differs from the reference's, compared without case and spacing."
    detector = find_plugins("detectors").get(head)
    detector_meaning = detector.meaning if detector is not None else ""
    fallback = KIND_MEANINGS.get(head, detector_meaning or "A check of the project's test suite.")
    limit = KIND_LIMITS.get(kind)
    meaning = KIND_MEANINGS.get(kind, fallback)
    return f"{meaning} Its rate: {limit}." if limit else meaning


def issue_title(issue: Issue) -> str:
    """An issue's title with its kind in words."""
    return issue.title.replace(issue.kind, kind_words(issue.kind)) or kind_words(issue.kind)
