"""Words and columns with which files mark an answer as good or bad: the only place that names them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from residency.data.reading.learn_marks import read_yes_or_no

LABEL_COLUMNS = (
    "label", "kto_tag", "kto_label", "is_desirable", "is_preferred", "desirable", "feedback",
    "user_feedback", "human_feedback", "thumb", "thumbs", "thumbs_up", "is_good", "is_chosen", "accepted",
    "approved", "status", "review", "review_status", "human_label", "rejected", "is_rejected", "is_bad",
    "thumbs_down", "discard", "discarded",
)  # fmt: skip
"""Columns that mark answers wherever they hold nothing but marks, the likeliest first."""
BAD_COLUMNS = frozenset({
    "rejected", "is_rejected", "bad", "is_bad", "thumbs_down", "discard", "discarded", "toxic", "is_toxic",
    "harmful", "unsafe", "flagged", "spam", "hallucination", "hallucinated", "is_hallucination",
    "incorrect", "is_incorrect", "wrong", "deleted", "delete",
})  # fmt: skip
"""Columns of yes and no in which yes marks a bad answer."""
DOUBTFUL_COLUMNS = BAD_COLUMNS | {
    "correct", "is_correct", "valid", "is_valid", "helpful", "is_helpful", "passed", "keep", "ok", "usable",
    "like", "liked", "good", "safe", "is_safe", "verified", "verdict", "decision", "vote", "preference",
    "quality", "grade", "result",
}  # fmt: skip
"""Columns that may mark bad answers or be about something else: told, and left out when asked."""
_DOUBTFUL_WORDS = {word for name in DOUBTFUL_COLUMNS for word in name.split("_")} - {"is"} | {
    "label", "chosen", "preferred", "acceptable", "gold", "use", "bad", "wrong", "annotation",
}  # fmt: skip
_GOOD = {
    "good", "chosen", "accepted", "accept", "approved", "approve", "desirable", "thumbs_up", "upvote", "up",
    "like", "liked", "correct", "right", "acceptable", "pass", "passed", "👍", "+1",
}  # fmt: skip
_BAD = {
    "bad", "rejected", "reject", "undesirable", "thumbs_down", "downvote", "down", "dislike", "disliked",
    "incorrect", "wrong", "unacceptable", "fail", "failed", "👎", "-1", "-1.0",
}  # fmt: skip
_FEELINGS = {"positive": True, "negative": False}
"""Marks in columns of people's feedback; elsewhere they are classes of a text."""
_FEEDBACK = ("feedback", "thumb", "thumbs", "user_feedback", "human_feedback")


def read_answer_mark(value: Any, column: str) -> bool | None:
    """Whether a value of a column marks its row's answer as good (True) or bad (False).

    None where it says neither, so that the column is a class or a score.
    """
    name = column.strip().lower().replace(" ", "_")
    answer = read_yes_or_no(value)
    if answer is not None:
        return answer != (name in BAD_COLUMNS)
    word = str(value).strip().lower().replace(" ", "_").replace("thumbs-", "thumbs_")
    if name in _FEEDBACK and word in _FEELINGS:
        return _FEELINGS[word]
    if word in _GOOD:
        return True
    return False if word in _BAD else None


def may_mark_answers(column: str, values: Iterable[Any]) -> bool:
    """Whether an unread column may say which rows are bad: it calls some good and some bad, in words
    that are used of answers, or as yes and no under a name that may be about answers."""
    values = list(values)
    if {read_answer_mark(value, column) for value in values} != {True, False}:
        return False
    words = re.split(r"[\W_]+", column.strip().lower())
    return not _DOUBTFUL_WORDS.isdisjoint(words) or all(read_yes_or_no(v) is None for v in values)
