"""Answers that are longer than the task wants, or that never stop."""

from __future__ import annotations

from collections.abc import Sequence

from residency.diagnose.detectors.base import Context, Item, make_finding
from residency.nouns.finding import Finding, Span
from residency.text.words import split_words

NAME, VERSION = "overlong", "3"


def detect_overlong(items: Sequence[Item], context: Context) -> list[Finding]:
    """One finding an item; value is the length ratio to the reference, where there is one.

    An answer cut by the token limit fails unless it is still shorter than its reference
    allows (then the budget is too small, and it is unscored).
    """
    return [_judge_length(item, context) for item in items]


def _judge_length(item: Item, context: Context) -> Finding:
    config = context.config
    length, wanted = len(split_words(item.response.text)), len(split_words(item.reference))
    cut = item.response.finish == "length"
    if not wanted:
        if not cut:
            return make_finding(
                NAME, VERSION, item, "unscored", message="no reference to compare with"
            )
        message = f"stopped by the limit of {context.max_new_tokens} tokens"
        return make_finding(NAME, VERSION, item, "fail", severity=0.6, message=message)
    limit = max(config.overlong_ratio * wanted, wanted + config.overlong_slack)
    ratio = length / wanted
    if cut and length <= wanted:
        message = f"the budget of {context.max_new_tokens} tokens is shorter than the reference"
        return make_finding(NAME, VERSION, item, "unscored", message=message, value=ratio)
    if length <= limit and not cut:
        return make_finding(NAME, VERSION, item, "pass", value=ratio)
    start = _offset_of_word(item.response.text, wanted)
    message = f"{length} words, the reference has {wanted}"
    if cut:
        message += f"; stopped by the limit of {context.max_new_tokens} tokens"
    return make_finding(
        NAME,
        VERSION,
        item,
        "fail",
        severity=(0.5 if cut else 0.3) + 0.1 * max(0.0, ratio - config.overlong_ratio),
        spans=[Span(start, len(item.response.text), "beyond the reference's length")],
        message=message,
        value=ratio,
    )


def _offset_of_word(text: str, count: int) -> int:
    """Where word number ``count`` (0-based) begins, by the same words as the length."""
    low, high = 0, len(text)  # the shortest beginning that holds more than ``count`` words
    while low < high:
        middle = (low + high) // 2
        if len(split_words(text[:middle])) > count:
            high = middle
        else:
            low = middle + 1
    start = max(0, low - 1)
    while start > 0 and text[start - 1].isalnum() and len(split_words(text[:start])) > count:
        start -= 1
    return start
