"""Pieces of a plain text file as questions with their answers, where a mark divides the two; or as
dialogues, a line each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from residency.files.record import Record

LABEL = re.compile(r"^(?:[#*]{0,4} ?[^\s:：]{1,20} ?[:：]|#{1,6} [^\W\d_]{1,20}$)", re.MULTILINE)
"""What lines begin with that say who speaks: `Q:`, `**Frage:`, or a heading of one word."""
_LONGEST = 64_000
"""Letters of a question with its answer; what goes on longer is cut where the file's pieces are."""
_BLANK = re.compile(r"\n[^\S\n]*\n\s*")


def divide_pieces(records: Iterator[Record], mark: str) -> Iterator[Record]:
    """Each question with its answer as a separate record, with its line.

    A text with a label at the beginning of a line (``Q:``, ``Frage:``, ``问：``) is cut before every line
    that begins with the first such, also where the file's pieces were cut elsewhere. Without a label, paragraphs
    that hold a mark each are rows. What holds several marks after that is an error, since one of
    them would be taken for the answer and the others for its prompt.
    """
    label = ""
    begun: Record | None = None
    for number, record in enumerate(records):
        if record.values is None:
            yield record
            continue
        if not number:
            label = _find_label(_text(record), mark)
        if not label:
            yield from _check(_cut(record, _BLANK) if _fits(record, mark) else [record], mark)
            continue
        whole = record if begun is None else _join(begun, record)
        if begun is not None and len(_text(begun)) > _LONGEST:  # no question begins for long
            yield from _check([begun], mark)
            whole = record
        *ready, begun = _cut(whole, re.compile(rf"\n(?={re.escape(label)})"))
        yield from _check(ready, mark)
    if begun is not None:
        yield from _check([begun], mark)


def _find_label(text: str, mark: str) -> str:
    """The first label that comes again, where as many lines have it as there are answers; else nothing."""
    labels = LABEL.findall(text)
    label = next((label for label in labels if labels.count(label) > 1), *(labels[:1] or [""]))
    starts = f"\n{text}".count(f"\n{label}")
    return label if label and label != mark.strip() and starts + 1 >= text.count(mark) else ""


def _text(record: Record) -> str:
    return str((record.values or {}).get("text", ""))


def _fits(record: Record, mark: str) -> bool:
    return all(part.count(mark) == 1 for part in _BLANK.split(_text(record)))


def _join(first: Record, second: Record) -> Record:
    """Both as one, with as many line ends between them as the file has."""
    text = _text(first)
    between = max(1, second.line - first.line - text.count("\n"))
    return Record(first.line, {"text": text + "\n" * between + _text(second)})


def _cut(record: Record, edge: re.Pattern[str]) -> list[Record]:
    text, start = _text(record), 0
    out: list[Record] = []
    for end, following in [*(m.span() for m in edge.finditer(text)), (len(text), len(text))]:
        line = record.line + text.count("\n", 0, start)
        out.append(Record(line, {"text": text[start:end].rstrip()}))
        start = following
    return out


def _check(records: Sequence[Record], mark: str) -> Iterator[Record]:
    for record in records:
        count = _text(record).count(mark)
        reason = f"the mark {mark!r} stands {count} times between two questions; one is expected"
        yield record if count < 2 else Record(record.line, None, reason, "text")


TURN_END = "__eou__"
"""Ends each turn where a line is a whole dialogue: DailyDialog's text files."""


def divide_dialogue_lines(records: Iterator[Record]) -> Iterator[Record]:
    """Each line of the pieces as a dialogue, a list of its turns under ``dialog``."""
    for record in records:
        for number, line in enumerate(str((record.values or {}).get("text", "")).splitlines()):
            turns = [turn.strip() for turn in line.split(TURN_END) if turn.strip()]
            if turns:
                yield Record(record.line + number, {"dialog": turns})


def holds_dialogue_lines(values: Sequence[Mapping[str, Any]]) -> bool:
    """Whether most lines of the pieces are dialogues whose turns end in ``__eou__``."""
    lines = [line for v in values for line in str(v.get("text", "")).splitlines() if line.strip()]
    return 2 * sum(line.rstrip().endswith(TURN_END) for line in lines) > len(lines)
