"""Label Studio's comparisons of two texts: which side a person selected makes a pair."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from residency.data.reading.clean_text import RowError, clean_text
from residency.data.reading.conversations import read_messages
from residency.data.reading.layouts.annotation_exports import (
    PROMPT_NAMES,
    LabelStudioTableLayout,
    list_results,
)
from residency.data.reading.layouts.layout import Layout, LayoutRow, RowFields
from residency.data.reading.layouts.preference import pair_answers
from residency.files.turn_lists import is_turn_list
from residency.nouns.example import Message

_SIDES = {"left": 0, "right": 1}
_SIDE_NAME = re.compile(r"(?:\d|[_ -][ab]|left|right|first|second)$")


class LabelStudioPairLayout(Layout):
    """Label Studio's exports of pairwise comparisons, in full (JSON) and short (JSON-MIN, CSV)."""

    name = "label-studio-pair"
    may = ("data", "annotations")
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "data": ("data",),
        "annotations": ("annotations", "completions"),
    }
    about = (
        "Label Studio's exports of comparisons (`selected` is `left` or `right`): the two texts that were "
        "shown make a pair; if there are further texts, one must be called `prompt`, `question`, `instruction`, `text` or `input`"
    )

    def fits_row(self, row: RowFields) -> bool:
        """A task with a side that was selected."""
        return _find_selection(row) is not None

    def read_row(self, row: RowFields) -> LayoutRow:
        """The prompt and the text that was selected; the other one apart."""
        selection = _find_selection(row)
        if selection is None:
            raise RowError("no side was selected", row.column("annotations"))
        shown, values = selection
        names, field = _find_shown(shown, values), row.column("data")
        side = _SIDES[shown["selected"]]
        prompt = _read_prompt(values, names, field)
        if row.instruction and prompt[0].role != "system":
            prompt = (Message("system", row.instruction), *prompt)
        return pair_answers(
            prompt, values[names[side]], values[names[1 - side]], (names[side], names[1 - side])
        )

    def unread_keys(self, row: RowFields) -> set[str]:
        """Nothing: a task is read as a whole."""
        return set()


def _find_selection(row: RowFields) -> tuple[dict[str, Any], Mapping[str, Any]] | None:
    """What was selected, as ``selected`` and ``to_name``, and the texts of the task."""
    data = row.value("data")
    if isinstance(data, Mapping) and isinstance(row.value("annotations"), list):
        for result in list_results(row.value("annotations")):
            value = result.get("value") if isinstance(result, Mapping) else None
            if isinstance(value, Mapping) and value.get("selected") in _SIDES:
                return {"selected": value["selected"], "to_name": result.get("to_name", "")}, data
        return None
    if not LabelStudioTableLayout().fits_row(row):
        return None
    for value in row.values.values():
        if side := _read_side(value):
            own = LabelStudioTableLayout.OWN
            texts = {k: v for k, v in row.values.items() if k not in own and not _read_side(v)}
            return {"selected": side, "to_name": ""}, texts
    return None


def _read_side(value: Any) -> str:
    """``left`` or ``right`` of a short export's value; empty for anything else."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return ""
    if isinstance(value, Mapping):
        value = value.get("selected")
    return value if isinstance(value, str) and value in _SIDES else ""


def _find_shown(shown: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """Names of the two texts that were compared, the left one first.

    Raises:
        RowError: they cannot be told.
    """
    named = [name.strip() for name in str(shown["to_name"]).split(",")]
    if len(named) == 2 and all(isinstance(values.get(name), str) for name in named):
        return named
    texts = [
        name for name, v in values.items() if (isinstance(v, str) and v.strip()) or is_turn_list(v)
    ]
    answers = [name for name in texts if name.strip().lower() not in PROMPT_NAMES]
    if len(answers) == 3 and len(answers) == len(texts):  # what was shown above them comes first
        answers = answers[1:]
    if len(answers) > 2:  # answer1 and answer2, response_a and response_b among others
        answers = [name for name in answers if _SIDE_NAME.search(name.strip().lower())]
    if len(answers) != 2:
        raise RowError(
            f"which two texts were compared? (texts: {', '.join(texts) or 'none'}); leave the two and "
            "prompt in a copy, or name them chosen and rejected",
            "data",
        )
    return answers


def _read_prompt(values: Mapping[str, Any], answers: list[str], field: str) -> tuple[Message, ...]:
    rest = {name: v for name, v in values.items() if name not in answers}
    named = sorted(rest, key=lambda name: name.strip().lower() not in PROMPT_NAMES)
    for name in named:
        if is_turn_list(rest[name]):
            return read_messages(rest[name], f"{field}.{name}")
        if isinstance(rest[name], str) and rest[name].strip():
            return (Message("user", clean_text(rest[name], name)),)
    raise RowError("no prompt beside the two texts", field)
