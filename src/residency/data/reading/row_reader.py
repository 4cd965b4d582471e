"""Records of one source → examples, or the reason why a row is none."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from residency.config.data import DataConfig
from residency.data.reading.clean_text import RowError, clean_label
from residency.data.reading.column_paths import read_column
from residency.data.reading.conversations import is_empty
from residency.data.reading.find_layout import RowMapping
from residency.data.reading.map_rows import MappedRow, map_row
from residency.data.reading.ratings import check_ratings
from residency.data.reading.suggest_columns import list_answer_columns
from residency.data.reading.turn_marks import find_late_marks, leave_out_bad_turns
from residency.files.atomic_write import write_json_lines
from residency.files.record import Record
from residency.nouns.example import Example, Split

_ANSWER_NAME = re.compile("answer|response|reference|solution|output|completion|ideal|reply")


@dataclass(frozen=True)
class Reject:
    """A row that cannot be used: where it stands, and why."""

    file: str
    line: int
    field: str
    reason: str

    @property
    def where(self) -> str:
        """File, line and field."""
        line = f"{self.file}:{self.line}"
        return f'{line} field "{self.field}"' if self.field else line

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"

    def to_dict(self) -> dict[str, str | int]:
        """JSON-able."""
        return {"file": self.file, "line": self.line, "field": self.field, "reason": self.reason}


@dataclass(frozen=True)
class RowReader:
    """Reads one record of a source whose layout is known. Can be sent to another process.

    ``mapping`` is None when no record of the source could be read; ``need_answer`` says whether a
    row without an answer is refused, ``need_prompt`` whether one without a prompt is. ``turn_marks``
    are keys within turns that call them good or bad, ``seen`` the columns and keys of the rows by
    which all this was found out; empty: it was found out of all rows.
    """

    name: str
    config: DataConfig
    split: Split
    need_answer: bool
    mapping: RowMapping | None
    need_prompt: bool = False
    turn_marks: tuple[str, ...] = ()
    seen: frozenset[str] = frozenset()

    def read_record(self, record: Record) -> tuple[Example | Reject, tuple[str, ...]]:
        """The record as an example, or why it is none; and what was left out of it, in words."""
        if record.values is None or self.mapping is None:
            return self._reject(record, record.field, record.error), ()
        try:
            check_ratings(record.values, self.config.least)
            marks = self.turn_marks
            if self.seen:
                columns = self.mapping.columns.values()
                marks += find_late_marks(record.values, self.seen, columns)
            values, bad_turns = leave_out_bad_turns(
                record.values, marks, self.config.least, asked=self.need_prompt
            )
            mapped = map_row(
                values,
                self.mapping,
                instruction=self.config.instruction,
                split_at=self.config.split_at,
                fold_system=self.config.system == "fold",
                need_answer=self.need_answer,
            )
            self._check_turns(mapped, record.values)
        except RowError as error:
            return self._reject(record, error.field, error.reason), ()
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            reason = f"does not fit {self.mapping}: {type(error).__name__}: {error}"
            return self._reject(record, "", reason), ()
        labels = (
            clean_label(f"{column}={value}")
            for column in self.config.tags
            if (value := read_column(record.values, column)) not in (None, "")
        )
        example = Example(
            messages=mapped.messages,
            split=self.split,
            group=mapped.group,
            tags=tuple(dict.fromkeys((*mapped.tags, *labels))),
            source=f"{self.name}:{record.line}",
            weight=mapped.weight,
            rejected=mapped.rejected,
        )
        return example, (*mapped.changes, *bad_turns)

    def _reject(self, record: Record, field: str, reason: str) -> Reject:
        """What a row's text may have brought into field and reason is made printable."""
        return Reject(self.name, record.line, clean_label(field), clean_label(reason))

    def _check_turns(self, mapped: MappedRow, values: Mapping[str, Any]) -> None:
        """That there is something to learn, or to ask.

        Raises:
            RowError: there is not.
        """
        last = mapped.messages[-1]
        empty = not last.content or last.content.isspace()
        answered = last.role == "assistant" and not (empty and not last.tool_calls)
        columns = self.mapping.columns if self.mapping else {}
        prompt = mapped.messages[:-1] if last.role == "assistant" else mapped.messages
        if self.need_prompt and not prompt:
            raise RowError(
                "no prompt: raw text has nothing that could be asked (see split_at)",
                columns.get("text", ""),
            )
        if len(mapped.messages) > 1 and all(is_empty(m) for m in prompt):
            raise RowError("every turn before the answer is empty", columns.get("messages", ""))
        if (
            self.need_answer
            and answered
            and not any(m.role == "assistant" and m.trained for m in mapped.messages)
        ):
            raise RowError(
                "every answer is marked as not to be learned",
                columns.get("messages") or columns.get("conversations", ""),
            )
        if answered or (not self.need_answer and last.role != "assistant"):
            return
        raise RowError(
            self._describe_no_answer(values)
            if self.need_answer
            else "the last assistant message is empty",
            columns.get("response") or columns.get("messages") or columns.get("conversations", ""),
        )

    def _describe_no_answer(self, values: Mapping[str, Any]) -> str:
        """Why nothing can be trained on: an empty answer, or no column that holds answers."""
        mapping = self.mapping
        if mapping and "response" in mapping.layout.may and "response" not in mapping.columns:
            texts = list_answer_columns(values, list(mapping.columns.values()))
            name = shlex.quote(texts[0]) if texts else "NAME"
            return (
                "no answer to train on: no column is named response, output, completion or answer "
                f"(--column response={name})"
            )
        columns = mapping.columns if mapping else {}
        if "messages" in columns and values:
            texts = list_answer_columns(values, list(columns.values()))
            texts = [name for name in texts if _ANSWER_NAME.search(name.lower())]
            if texts:
                named = f"prompt={columns['messages']} --column response={shlex.quote(texts[0])}"
                return f"no answer to train on within the messages (beside them: --column {named})"
        return "no answer to train on (empty or missing)"


def write_rejects(rejects: Iterable[Reject], path: Path) -> None:
    """The rejects as JSONL, beside a result.

    Raises:
        OSError: it cannot be written.
    """
    write_json_lines(path, (reject.to_dict() for reject in rejects))
