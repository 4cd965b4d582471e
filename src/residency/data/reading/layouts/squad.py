"""SQuAD's files (``squad``): paragraphs with questions on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from residency.data.reading.clean_text import RowError, clean_text
from residency.data.reading.layouts.layout import Layout, LayoutRow, RowFields
from residency.files.record import Record
from residency.nouns.example import Message

SEVERAL_ANSWERS = "of several accepted answers the commonest, else the first, is the reference"


class SquadLayout(Layout):
    """Articles of ``paragraphs`` with a ``context`` and its ``qas``: each question is a row."""

    name = "squad"
    needs = ("paragraphs",)
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {"paragraphs": ("paragraphs",)}
    about = (
        "SQuAD's files: each question in `data[].paragraphs[].qas[]`, with its context, is a row"
    )
    asks = True

    def fits_row(self, row: RowFields) -> bool:
        """A list of paragraphs with questions."""
        value = row.value("paragraphs")
        return isinstance(value, list) and any(isinstance(p, Mapping) and "qas" in p for p in value)

    def join_records(self, records: Iterator[Record]) -> Iterator[Record]:
        """Every question as a record, with its context; its line is its article's."""
        for record in records:
            values = record.values or {}
            paragraphs = values.get("paragraphs")
            if not isinstance(paragraphs, list):
                yield record
                continue
            for paragraph in paragraphs:
                if not isinstance(paragraph, Mapping) or not isinstance(paragraph.get("qas"), list):
                    yield Record(record.line, None, "context and qas are expected", "paragraphs")
                    continue
                for question in paragraph["qas"]:
                    row = {"context": paragraph.get("context"), "qa": question}
                    yield Record(record.line, row)

    def read_row(self, row: RowFields) -> LayoutRow:
        """The question with its context, then the answer."""
        pair = row.values.get("qa")
        if not isinstance(pair, Mapping):
            raise RowError("question and answers are expected", "qas")
        question, context = _read_text(pair, "question"), _read_text(row.values, "context")
        if pair.get("is_impossible"):
            raise RowError("the question has no answer in its context (is_impossible)", "qas")
        answers = [
            _read_text(answer, "text")
            for answer in pair.get("answers") or ()
            if isinstance(answer, Mapping)
        ]
        user = Message("user", question, input=context)
        if not answers:
            return LayoutRow((user,))
        common = Counter(answers).most_common(1)[0][0]
        left_out = (SEVERAL_ANSWERS,) if len(set(answers)) > 1 else ()
        return LayoutRow((user, Message("assistant", common)), left_out=left_out)


def _read_text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value.strip():
        raise RowError("the field is empty or no text", name)
    return clean_text(value, name)
