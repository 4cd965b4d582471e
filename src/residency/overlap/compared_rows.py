"""Which words of a row are compared with other rows, as flat arrays.

Of a prompt these are the user's words that differ between rows (``distinct_text``). Its *body*
leaves out more: an instruction that stands beside a separate input, and lines that only list
names (the header of a table, a schema). Many honest items share those, so sharing them proves
nothing. Where the input is nothing but such lines, an instruction that no other row has is the body
(a question on a schema). Of the answer it is all trained turns; its *prose* are the reference's long lines.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self
from zlib import crc32

import numpy as np

from residency.nouns.example import Example, Message
from residency.overlap.distinct_text import distinct_words, user_parts
from residency.overlap.word_grams import I64, RowWords, WordStore
from residency.text.words import split_words

PROSE_LINE = 25
"""Words from which a line of a reference is prose: short and structured lines prove nothing."""
LIST_WORDS, LIST_SHARE = 6, 0.4
"""A line lists names when it has so many words and such a share of the gaps between them holds a
delimiter."""

_NAME = re.compile(r"\w+")
_DELIMITERS = b"|,;\t()[]{}=<>"
"""One of these is in every delimited gap."""
_DELIMITED_GAP = re.compile(r"\w[\"'`\])]*\s*[|,;\t()\[\]{}=<>][\s|,;()\[\]{}=<>\"'`]*(?=\w)")
_COLUMNS = ("instruction", "start", "request", "body", "stop", "end", "prose_end", "only_lists")


@dataclass(frozen=True)
class ComparedRows:
    """The compared words of rows; every field has one entry a row."""

    prompts: RowWords
    bodies: RowWords
    answers: RowWords
    prose: RowWords

    def __len__(self) -> int:
        return len(self.prompts)

    def take(self, rows: Iterable[int] | I64) -> ComparedRows:
        """Some rows, in the given order (a view of the same words)."""
        chosen = np.asarray(rows, np.int64)
        parts = (self.prompts, self.bodies, self.answers, self.prose)
        return ComparedRows(*(part.take(chosen) for part in parts))


class ComparedRowsBuilder:
    """Collects rows one by one; with ``spill`` their words lie in a temporary file."""

    def __init__(self, *, spill: bool = False) -> None:
        self._store = WordStore(spill=spill)
        self._columns = {name: array("q") for name in _COLUMNS}

    def add(self, example: Example) -> None:
        """One more row."""
        instruction, request = user_parts(example)
        self._add_parts(instruction, request, gather_answers(example), gather_prose(example))

    def add_text(self, text: str) -> None:
        """One more row that is a prompt alone, e.g. a benchmark's question."""
        self._add_parts("", text, "", "")

    def _add_parts(self, instruction: str, request: str, answers: str, prose: str) -> None:
        lists, rest = part_list_lines(request)
        start, request_start = self._store.add(instruction)
        _, body = self._store.add(lists)
        _, stop = self._store.add(rest)
        _, end = self._store.add(answers)
        _, prose_end = self._store.add(prose)
        number = crc32(instruction.encode("utf-8", "replace")) if instruction else 0
        only_lists = body == stop > request_start
        body = request_start if only_lists else body
        offsets = (number, start, request_start, body, stop, end, prose_end, only_lists)
        for name, value in zip(_COLUMNS, offsets, strict=True):
            self._columns[name].append(value)

    def merge(self, later: Self) -> None:
        """Add the rows of another, which holds its words in memory, after these."""
        shift = self._store.size
        self._columns["instruction"].extend(later._columns["instruction"])
        self._columns["only_lists"].extend(later._columns["only_lists"])
        for name in _COLUMNS[1:-1]:
            self._columns[name].extend(offset + shift for offset in later._columns[name])
        self._store.merge(later._store)

    def build(self) -> ComparedRows:
        """The rows; nothing may be added after."""
        column = {
            name: np.frombuffer(values, np.int64) if values else np.zeros(0, np.int64)
            for name, values in self._columns.items()
        }
        values = self._store.values()
        whole = RowWords(values, column["start"], column["stop"])
        prompts = distinct_words(whole, column["request"], column["instruction"])
        begins = np.maximum(prompts.starts, np.minimum(column["body"], prompts.stops))
        # A prompt of nothing but names is compared whole.
        begins = np.where(begins < prompts.stops, begins, prompts.starts)
        ends = prompts.stops
        _, inverse, counts = np.unique(
            column["instruction"], return_inverse=True, return_counts=True
        )
        if len(prompts):
            asks = (column["only_lists"] != 0) & (column["instruction"] != 0)
            asks &= (counts[inverse] == 1) & (prompts.starts < column["request"])
            begins = np.where(asks, prompts.starts, begins)
            ends = np.where(asks, column["request"], ends)
        return ComparedRows(
            prompts=prompts,
            bodies=RowWords(values, begins, ends),
            answers=RowWords(values, column["stop"], column["end"]),
            prose=RowWords(values, column["end"], column["prose_end"]),
        )


def compare_examples(examples: Iterable[Example]) -> ComparedRows:
    """The compared words of examples, which are judged beside one another."""
    builder = ComparedRowsBuilder()
    for example in examples:
        builder.add(example)
    return builder.build()


def compare_texts(texts: Iterable[str]) -> ComparedRows:
    """The compared words of prompts that are plain texts."""
    builder = ComparedRowsBuilder()
    for text in texts:
        builder.add_text(text)
    return builder.build()


def part_list_lines(text: str) -> tuple[str, str]:
    """The lines of a text that only list names, and the others."""
    lists: list[str] = []
    rest: list[str] = []
    for line in text.split("\n"):
        (lists if _lists_names(line) else rest).append(line)
    return "\n".join(lists), "\n".join(rest)


def _lists_names(line: str) -> bool:
    raw = line.encode("utf-8", "replace")
    if len(raw) - len(raw.translate(None, _DELIMITERS)) < LIST_SHARE * (LIST_WORDS - 1):
        return False
    gaps = len(_DELIMITED_GAP.findall(line))
    if gaps < LIST_SHARE * (LIST_WORDS - 1):
        return False
    count = len(_NAME.findall(line))  # a name with underscores is one
    return count >= LIST_WORDS and gaps >= LIST_SHARE * (count - 1)


def gather_answers(example: Example) -> str:
    """Every answer that is trained as one text: all the assistant's turns with their reasoning and
    tool calls, and the worse answer. Empty for raw text, which is compared as a prompt."""
    if len(example.messages) == 1:
        return ""
    turns = [m for m in example.messages if m.role == "assistant"]
    texts = (text for turn in turns for text in (turn.thinking, join_turn(turn)))
    return " ".join(filter(None, (*texts, example.rejected)))


def gather_prose(example: Example) -> str:
    """The reference's lines of 25 words or more."""
    lines = (example.reference or "").splitlines() if example.prompt else []
    return "\n".join(
        line for line in lines if len(line) >= PROSE_LINE and len(split_words(line)) >= PROSE_LINE
    )


def join_turn(message: Message) -> str:
    """An assistant's turn as text, with its tool calls; empty for other roles."""
    calls = " ".join(str(call.get("function", call)) for call in message.tool_calls)
    content = message.content if message.role == "assistant" else ""
    return " ".join(filter(None, (content, calls)))
