"""Rows of several answers and a verdict: ``comparison`` (two and a winner), ``ranked`` (a list)."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from residency.data.reading.clean_text import RowError, clean_text, is_missing
from residency.data.reading.layouts.layout import Layout, LayoutRow, RowFields
from residency.data.reading.layouts.preference import PROMPT_FIELDS, pair_answers, read_prompt
from residency.data.reading.learn_marks import read_yes_or_no
from residency.data.reading.ratings import read_number

_STEMS = ("response", "answer", "completion", "output", "generation", "reply", "conversation")
_NAMES = (
    *(f"{stem}{gap}{{}}" for stem in _STEMS for gap in ("_", "")),
    "human_ref_{}",
    "model_{}_response",
    "{}_response",
)
_FIRST, _SECOND = ("a", "0", "1"), ("b", "2", "1")
"""What the columns of the two answers end with; of 0, 1 and 1, 2 the second's comes from behind."""
_ANSWER_COLUMNS = {name.format(end) for name in _NAMES for end in "abcde012345"}
_TIES = re.compile(r"(?:tie|draw|both|neither|equal|same|none)\b.*", re.DOTALL)
_SIGNED = ("overall_preference", "preference_strength")
"""Columns of numbers below 0 where the first answer is better (HelpSteer)."""
_TEXTS = ("response", "answer", "text", "completion", "output", "content", "message", "messages")
_RATINGS = (
    "rank", "fine-grained_score", "overall_score", "score", "rating", "pm_score", "reward", "votes",
)  # fmt: skip


class ComparisonLayout(Layout):
    """Two answers to one prompt, and which of them is the better one."""

    name = "comparison"
    needs = ("first", "second", "winner")
    may = ("winner_second", *PROMPT_FIELDS)
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "first": tuple(name.format(end) for end in _FIRST for name in _NAMES),
        "second": tuple(name.format(end) for end in _SECOND for name in _NAMES),
        "winner": (
            "winner", "better_response_id", "better", "preference", "labels", "winner_model_a",
            "choice", "vote", *_SIGNED, "preferred", "label",
        ),
        "winner_second": ("winner_model_b",),
        "prompt": ("prompt", "history", "post"),
    }  # fmt: skip
    about = (
        "two answers (`response_a` and `response_b`, `conversation_a`, `output_1`, `human_ref_A`, …) and "
        "`winner` (or `preference`, `better_response_id`, …), which names one: Chatbot Arena, SHP, "
        "PKU-SafeRLHF, HelpSteer. Ties are refused"
    )

    def fits_row(self, row: RowFields) -> bool:
        """Two answers and no third, which would be choices of a question."""
        answers = {str(key).lower() for key in row.values} & _ANSWER_COLUMNS
        return len(answers) == 2 and all(row.value(f) is not None for f in ("first", "second"))

    def read_row(self, row: RowFields) -> LayoutRow:
        """The prompt and the better answer; the worse one apart."""
        better, worse = ("first", "second") if _is_first_better(row) else ("second", "first")
        columns = (row.column(better), row.column(worse))
        questions = _read_texts(row.value("prompt"))
        if questions is None:
            return pair_answers(read_prompt(row), row.value(better), row.value(worse), columns)
        chosen, rejected = (
            _join_turns(questions, row.value(side), row) for side in (better, worse)
        )
        return pair_answers((), chosen, rejected, columns)


def _is_first_better(row: RowFields) -> bool:
    """Which answer the verdict names.

    Raises:
        RowError: it names none of the two, or calls them alike.
    """
    column, value = row.column("winner"), row.value("winner")
    names = (row.column("first").lower(), row.column("second").lower())
    if "winner_second" in row.columns:  # a column of yes and no for each
        sides = [read_yes_or_no(value), read_yes_or_no(row.value("winner_second"))]
        if sides in ([True, False], [False, True]):
            return bool(sides[0])
        raise RowError("a tie: neither answer is the better one", column)
    number = read_number(value)
    if column.lower() in _SIGNED and number is not None:
        if not number:
            raise RowError("a tie: neither answer is the better one", column)
        return number < 0
    if column.lower() == "labels" and names[0] == "human_ref_a" and number in (0, 1):
        return number == 1  # as Stanford's SHP has it: 1 is A
    word = f"{number:g}" if number is not None else str(value).strip().lower()
    if is_missing(value):
        raise RowError("no verdict", column)
    ends_in_numbers = names[0].endswith("1") and names[1].endswith("2")
    if _TIES.match(word) or (ends_in_numbers and number in (0, 1.5)):
        raise RowError("a tie: neither answer is the better one", column)
    begins = _count_shared(names[0], names[1])
    ends = _count_shared(names[0][begins:][::-1], names[1][begins:][::-1])
    for name in names:
        short = name[begins : len(name) - ends]
        if re.fullmatch(rf"(?:[a-z]+[ _-]?)?{re.escape(short)}", word) or word == name:
            return name == names[0]
    shown = clean_text(str(value), column)[:40]
    raise RowError(
        f"{shown!r} names neither {row.column('first')} nor {row.column('second')}; write the better "
        "one's name there",
        column,
    )


def _count_shared(first: str, second: str) -> int:
    """How many letters both begin with."""
    pairs = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))
    return sum(1 for _ in pairs)


def _read_texts(value: Any) -> list[str] | None:
    """The turns of a column that lists one side of a conversation, also as JSON text; else None."""
    if isinstance(value, str) and value.startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value, list) or not value or not all(isinstance(t, str) for t in value):
        return None
    return value


def _join_turns(questions: list[str], value: Any, row: RowFields) -> list[dict[str, str]]:
    answers = _read_texts(value)
    if answers is None or len(answers) != len(questions):
        raise RowError("as many answers as questions are expected", row.column("prompt"))
    return [
        {"role": role, "content": text}
        for pair in zip(questions, answers, strict=True)
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]


class RankedLayout(Layout):
    """Several answers to one prompt with their ratings: the best and the worst are a pair."""

    name = "ranked"
    needs = ("ranked",)
    may = ("ratings", *PROMPT_FIELDS)
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "ranked": ("completions", "answers", "responses", "candidates", "generations", "outputs"),
        "ratings": ("ranks", "scores", "ratings", "rewards", "rank"),
    }
    about = (
        "a list of answers, each with a rank or score (UltraFeedback, Nectar, Stack Exchange): the best is "
        "trained, and makes a pair with the worst"
    )

    def fits_row(self, row: RowFields) -> bool:
        """A list of several answers, each with a number."""
        return len(_list_rated(row)) > 1

    def read_row(self, row: RowFields) -> LayoutRow:
        """The prompt and the best answer; the worst apart."""
        column = row.column("ranked")
        rated = _list_rated(row)
        if len(rated) < 2:
            raise RowError("several answers with a rank or score each are expected", column)
        worst, best = min(rated, key=lambda pair: pair[0]), max(rated, key=lambda pair: pair[0])
        if worst[0] == best[0]:
            raise RowError("all answers are rated alike: none is the better one", column)
        pair = pair_answers(read_prompt(row), best[1], worst[1], (column, column))
        left_out = ("of several answers the best and the worst are used",) if len(rated) > 2 else ()
        return LayoutRow(pair.messages, pair.rejected, (*pair.left_out, *left_out))


def _list_rated(row: RowFields) -> list[tuple[float, Any]]:
    """Answers with their ratings, a higher one better; without those that have none."""
    value = row.value("ranked")
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    ratings = row.value("ratings")
    if isinstance(ratings, Sequence) and len(ratings) == len(value):
        sign = -1 if row.column("ratings").lower().startswith("rank") else 1
        pairs = zip(ratings, value, strict=True)
        return [
            (sign * number, text) for n, text in pairs if (number := read_number(n)) is not None
        ]
    answers = [answer for answer in value if isinstance(answer, Mapping)]
    kind = next(
        (k for k in _RATINGS if any(read_number(a.get(k)) is not None for a in answers)), ""
    )
    sign = -1 if kind == "rank" else 1
    rated = (
        (read_number(a.get(kind)), next((a[k] for k in _TEXTS if a.get(k)), None)) for a in answers
    )
    return [(sign * number, text) for number, text in rated if number is not None and text]
