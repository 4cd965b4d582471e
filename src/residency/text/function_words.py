"""English words that say nothing by themselves: comparisons of contents leave them out."""

from __future__ import annotations

FUNCTION_WORDS = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "to",
        "and",
        "or",
        "is",
        "are",
        "was",
        "were",
        "be",
        "in",
        "on",
        "at",
        "for",
        "by",
        "with",
        "as",
        "it",
        "its",
        "this",
        "that",
    ]
)
"""Articles, prepositions, conjunctions, forms of *be*."""

PRONOUNS_AND_AUXILIARIES = frozenset(
    [
        "been",
        "we",
        "you",
        "i",
        "he",
        "she",
        "they",
        "will",
        "would",
        "can",
        "could",
        "do",
        "does",
        "did",
        "have",
        "has",
        "had",
        "please",
        "your",
        "our",
        "their",
    ]
)
"""Who speaks, and verbs that only help another."""
