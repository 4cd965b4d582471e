"""Files of production's logs → conversations. What cannot be read is counted with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from residency.data.reading.clean_text import RowError
from residency.data.reading.trace_spans import expand_spans, is_other_span
from residency.data.reading.traffic_shapes import Conversation, read_answer_half, read_conversation
from residency.errors import DataError
from residency.files.opening import find_kind
from residency.files.records import read_records


@dataclass
class TrafficLog:
    """What files hold.

    Attributes:
        conversations: with their location (``file:line``). unreadable: location and reason.
        skipped: spans that ask no model.
    """

    conversations: list[tuple[Conversation, str]] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    skipped: int = 0


def read_traffic_logs(paths: Sequence[Path]) -> TrafficLog:
    """All conversations of the files; a batch's questions and answers are joined by ``custom_id``.

    Raises:
        DataError: a file is missing, cannot be read, or holds no records.
    """
    log = TrafficLog()
    halves: dict[str, tuple[Conversation, str]] = {}
    answers: dict[str, str] = {}
    for path in paths:
        for location, values in _read_values(path, log):
            if is_other_span(values):
                log.skipped += 1
                continue
            half = read_answer_half(values)
            if half is not None:
                answers[half[0]] = half[1]
                continue
            try:
                conversation = read_conversation(values)
            except RowError as error:
                log.unreadable.append((location, str(error)))
                continue
            if conversation.answer:
                log.conversations.append((conversation, location))
            else:
                halves[conversation.key] = conversation, location
    _join_halves(log, halves, answers)
    return log


def _read_values(path: Path, log: TrafficLog) -> Iterator[tuple[str, dict[str, object]]]:
    if not path.is_file():
        raise DataError("no such file", where=str(path))
    kind = find_kind(path)
    if kind == "text":
        raise DataError(
            "a log of records is expected (JSON Lines, JSON, Parquet, CSV), found plain text",
            where=str(path),
        )
    for record in read_records(path, kind):
        location = f"{path.name}:{record.line}"
        if record.values is None:
            log.unreadable.append((location, record.error))
            continue
        for values in expand_spans(record.values):
            yield location, dict(values)


def _join_halves(
    log: TrafficLog, halves: dict[str, tuple[Conversation, str]], answers: dict[str, str]
) -> None:
    for key, (conversation, location) in halves.items():
        if key in answers:
            log.conversations.append((replace(conversation, answer=answers[key]), location))
        else:
            log.unreadable.append((location, "a question without an answer"))
    for key in answers.keys() - halves.keys():
        log.unreadable.append((f"custom_id {key}"[:80], "an answer without its question"))
