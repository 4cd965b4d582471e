"""Keys with which files mark what is to be learned and what is context alone, whatever they are called.

A key is a mark when it is made of the words below and nothing else: ``weight`` (OpenAI, Together,
Mistral), ``train`` (axolotl), ``loss``, ``loss_scale`` (ms-swift), ``loss_weight`` (LLaMA-Factory),
``trainable`` (tinker-cookbook), ``masked`` (torchtune), ``step_loss_mask`` (slime), ``output_with_loss``
(XTuner), and as well ``skip``, ``excludeFromTraining`` or ``is_target``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from residency.data.reading.clean_text import RowError, is_missing
from residency.nouns.example import Message
from residency.text.counts import write_count

_TRAIN = {"train", "training", "trainable", "learn", "learning", "learnable", "finetune", "finetuning"}  # fmt: skip
_LEARN = _TRAIN | {
    "trained", "learned", "loss", "weight", "weights", "supervise", "supervised", "target", "include", "included",
}  # fmt: skip
_SKIP = {"skip", "skipped", "ignore", "ignored", "exclude", "excluded"}
_NOT = _SKIP | {"masked", "context"}
_TURN_AROUND = {"no", "not", "dont", "never", "without"}
_FILLERS = {
    "is", "do", "does", "should", "use", "used", "for", "from", "in", "on", "to", "with", "as", "be", "this", "has",
    "turn", "message", "output", "compute", "calculate", "calculated", "require", "requires", "step", "scale",
    "only", "mask", "masks", "out",
}  # fmt: skip
_LOOSE = {"target", "include", "included", "context", *_SKIP}
"""Words that name other things too: only a yes or no makes a mark of them."""
_WITHIN = ("metadata", "meta", "extra", "extra_info", "additional_kwargs")
"""Objects within a message in which marks are looked for."""
_PARTS = ("train_detail", "training_detail")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W_]")


@dataclass(frozen=True)
class LearnMark:
    """What a key says.

    Attributes:
        learned: what a yes means. strict: any other value than yes or no is a mistake.
        of_rows: beside a prompt and its answer it marks the row, too.
        ambiguous: files use it in both ways.
    """

    learned: bool
    strict: bool = True
    of_rows: bool = False
    ambiguous: bool = False


@lru_cache(maxsize=4096)
def read_mark_name(key: str) -> LearnMark | None:
    """What a key means as a mark of what is learned; None where it is none."""
    words = [word.lower() for word in _WORD.findall(key.strip())]
    if words in (["mask"], ["masks"]):
        return LearnMark(learned=False, strict=False, ambiguous=True)
    known = _LEARN | _NOT | _TURN_AROUND | _FILLERS
    telling = [word for word in words if word in _LEARN or word in _NOT]
    if not telling or not known.issuperset(words):
        return None
    # A mask of the loss says where there is one; masking the loss, or a turn, takes it away.
    masks = [n for n, word in enumerate(words) if word in ("mask", "masks")]
    taken = sum(not any(word in _LEARN for word in words[:n]) for n in masks)
    turns = sum(word in _NOT or word in _TURN_AROUND for word in words) + taken
    return LearnMark(
        learned=turns % 2 == 0,
        strict=not set(telling) <= _LOOSE,
        of_rows=bool(_TRAIN.intersection(words)) or set(telling) <= _SKIP,
    )


def read_yes_or_no(value: Any) -> bool | None:
    """True or False as data files write them (``true``, ``1``, ``"False"``, ``0.0``); None for
    anything else."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return bool(value) if value in (0, 1) else None
    if isinstance(value, str):
        word = value.strip().lower()
        words = {"true": True, "yes": True, "1": True, "1.0": True}
        return (words | {"false": False, "no": False, "0": False, "0.0": False}).get(word)
    return None


def is_learned(turn: Mapping[str, Any], field: str) -> bool:
    """Whether an assistant turn is to be learned, by every mark on it.

    Raises:
        RowError: a mark that is neither yes nor no (a share of a turn cannot be learned), or one that
            is used in both ways.
    """
    learned = True
    for key, value in _list_pairs(turn):
        name = str(key)
        if name.strip().lower() in _PARTS and value:
            raise RowError(
                "a part of a turn is marked; only whole turns can be left out of learning",
                f"{field}.{name}",
            )
        mark = read_mark_name(name)
        if mark is not None and not is_missing(value):
            learned = _follow_mark(mark, value, f"{field}.{name}") and learned
    return learned


def _list_pairs(turn: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Keys and values of a turn, and of the objects within it that tell about it."""
    for key, value in turn.items():
        if isinstance(value, Mapping) and str(key).strip().lower() in _WITHIN:
            yield from value.items()
        else:
            yield key, value


def _follow_mark(mark: LearnMark, value: Any, field: str) -> bool:
    answer = read_yes_or_no(value)
    if answer is None:
        if mark.strict:
            raise RowError(f"0, 1, true or false is expected, found {value!r}", field)
        return True
    if mark.ambiguous:
        raise RowError(
            "some files write 1 for what is learned, others for what is masked: name it loss_mask (1: "
            "learned) or masked (true: not learned)",
            field,
        )
    return answer == mark.learned


def find_row_marks(row: Mapping[str, Any], read: Sequence[str]) -> list[str]:
    """Columns that mark whole rows as to be learned or not; those in ``read`` are something else."""
    marks = ((str(key), read_mark_name(str(key))) for key in row if key not in read)
    return [
        key
        for key, mark in marks
        if mark is not None and mark.of_rows and read_yes_or_no(row[key]) is not None
    ]


def check_row_marks(row: Mapping[str, Any], read: Sequence[str]) -> None:
    """That a row is not marked as left out of training.

    Raises:
        RowError: it is.
    """
    for key in find_row_marks(row, read):
        mark = read_mark_name(key)
        if mark is not None and read_yes_or_no(row[key]) != mark.learned:
            raise RowError("the row is marked as not to be learned", key)


def find_mark_lists(row: Mapping[str, Any]) -> list[str]:
    """Columns that hold a mark for each turn of the row's conversation (``loss_mask: [0, 1]``)."""
    return [
        str(key)
        for key, value in row.items()
        if isinstance(value, list)
        and value
        and read_mark_name(str(key)) is not None
        and all(read_yes_or_no(item) is not None for item in value)
    ]


def follow_mark_lists(messages: tuple[Message, ...], row: Mapping[str, Any]) -> tuple[Message, ...]:
    """The turns with the marks that stand in a list beside them: one a turn, or one an answer.

    Raises:
        RowError: there are as many as neither, or the list's name is used in both ways.
    """
    for key in find_mark_lists(row):
        mark = read_mark_name(key)
        assert mark is not None
        answers = [n for n, message in enumerate(messages) if message.role == "assistant"]
        marks = row[key]
        if len(marks) == len(messages):
            marks = [marks[n] for n in answers]
        if len(marks) != len(answers):
            raise RowError(
                f"{write_count(len(row[key]), 'mark')} for {write_count(len(messages), 'turn')} with "
                f"{write_count(len(answers), 'answer')}",
                key,
            )
        learned = {n: _follow_mark(mark, m, key) for n, m in zip(answers, marks, strict=True)}
        messages = tuple(
            replace(message, trained=message.trained and learned.get(n, True))
            for n, message in enumerate(messages)
        )
    return messages
