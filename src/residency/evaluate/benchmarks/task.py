"""What a benchmark task is: rows that become questions, and how their answers count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from residency.evaluate.benchmarks.generation import GenerationSettings

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """One benchmark item.

    Attributes:
        text: what stands before the answer. choices: the answers. gold: index of the right one.
        labels: which choices are true, where several may be (mc2).
        prefix: what stands after the question and begins every answer.
        targets: every right text, where the answer is written; its only choice is the first.
        many: whether the row lists its right answers.
    """

    text: str
    choices: tuple[str, ...]
    gold: int
    labels: tuple[bool, ...] = ()
    prefix: str = ""
    targets: tuple[str, ...] = ()
    many: bool = False


@dataclass(frozen=True)
class Task:
    """A benchmark, or one subject of it.

    Attributes:
        name: as on the command line. benchmark: which benchmark's files hold it.
        subset: the hub's configuration within it. read: a row to a question.
        test: splits that hold its items, the first that exists is used.
        shots_from: splits that hold its examples, in the same way; empty: always 0-shot.
        shots: the Open LLM Leaderboard's number of examples (v1).
        order: ``"random"`` draws examples anew for each item, ``"first"`` takes the first.
        exclude_item: draw one more example and drop the item itself (validation is both
            pool and test, or so the harness's defaults treat it).
        metrics: in the order shown; the first is the main one.
        description: stands before everything.
        groups: names of the averages that it goes into.
        target_delimiter, fewshot_delimiter: between question and answer, and after an example.
        kind: ``"choice"``: which of the choices is likeliest; ``"likelihood"``: how likely the one
            right continuation is (the question's only choice, with no delimiter before it);
            ``"generation"``: the answer is written; ``"rolling"``: how likely a whole text is.
        files: split → files of its rows; empty: they are looked for by name in a folder.
        generation: how answers are written and counted, where the kind is ``"generation"``.
        read_example: how an example is read, where otherwise than an item.
        examples: rows of examples that the task holds itself.
        describe: the description for a row, where it depends on it.
        example_delimiters: the two delimiters within examples, where they are others.
    """

    name: str
    benchmark: str
    subset: str
    read: Callable[[Row], Question]
    metrics: tuple[str, ...]
    test: tuple[str, ...]
    shots_from: tuple[str, ...] = ()
    shots: int = 0
    order: Literal["random", "first"] = "random"
    exclude_item: bool = False
    description: str = ""
    groups: tuple[str, ...] = field(default=())
    target_delimiter: str = " "
    fewshot_delimiter: str = "\n\n"
    kind: Literal["choice", "likelihood", "generation", "rolling"] = "choice"
    files: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    generation: GenerationSettings | None = None
    read_example: Callable[[Row], Question] | None = None
    examples: tuple[Row, ...] = ()
    describe: Callable[[Row], str] | None = None
    example_delimiters: tuple[str, str] | None = None
