"""``collected.jsonl``: rows that people, teachers and templates added to a project.

The file is append-only and belongs to train: its rows join it by themselves and never go to dev,
test or pool. Nothing a person wrote is lost: a line that was torn when the machine stopped stays in
the file, is told, and neither blocks the other rows nor runs together with the next one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from residency.nouns.example import Example
from residency.text.counts import write_count

COLLECTED = "collected.jsonl"


@dataclass(frozen=True)
class CollectedRows:
    """What the file holds.

    Attributes:
        examples: training rows with why they are here and, where one was shown, the worse answer.
        prompts: content hash of each row's prompt. origins: ``person``, ``teacher`` or ``template``.
        unreadable: line numbers with what is wrong with the line.
        provenance: what each line says of where its row comes from.
        unpaired: rows left out since preferences are trained and they hold no worse answer.
        rejected: rows left out since a person rejected them. waiting: those left out until a person
            has looked at them.
    """

    examples: list[Example]
    prompts: list[str]
    origins: list[str]
    unreadable: list[tuple[int, str]]
    provenance: list[Mapping[str, Any]] = field(default_factory=list)
    unpaired: int = 0
    rejected: int = 0
    waiting: int = 0

    def take_rows(self, numbers: Sequence[int]) -> CollectedRows:
        """The rows of these numbers alone; what is said of the file stays."""
        return replace(
            self,
            examples=[self.examples[n] for n in numbers],
            prompts=[self.prompts[n] for n in numbers],
            origins=[self.origins[n] for n in numbers],
            provenance=[self.provenance[n] for n in numbers],
        )

    def take_pairs(self) -> CollectedRows:
        """Without rows that hold no worse answer, which DPO cannot train."""
        paired = [n for n, example in enumerate(self.examples) if example.rejected is not None]
        return replace(self.take_rows(paired), unpaired=len(self.examples) - len(paired))

    def write_notes(self) -> list[str]:
        """What a reader of the corpus should know, in sentences."""
        notes = []
        if self.examples:
            joins, join = f"row of {COLLECTED} joins train", f"rows of {COLLECTED} join train"
            notes.append(write_count(len(self.examples), joins, join))
        if self.unpaired:
            notes.append(
                write_count(
                    self.unpaired,
                    f"row of {COLLECTED} holds no worse answer and waits",
                    f"rows of {COLLECTED} hold no worse answer and wait",
                )
                + ' for a training without train.objective = "dpo"'
            )
        if self.rejected:
            were = write_count(self.rejected, "made row was", "made rows were")
            notes.append(f"{were} rejected by people and left out: residency rows lists them")
        if self.waiting:
            wait = write_count(self.waiting, "made row waits", "made rows wait")
            notes.append(
                f"{wait} until somebody has looked at {'it' if self.waiting == 1 else 'them'} "
                "(target.review): residency rows"
            )
        notes += [
            f"{COLLECTED}:{number} cannot be read and is left out ({reason}); mend the line by hand"
            for number, reason in self.unreadable
        ]
        return notes


def hash_prompt(example: Example) -> str:
    """Content hash of the prompt alone."""
    return Example(example.prompt or example.messages).id


def is_collected(example: Example) -> bool:
    """Whether a row was read out of the file of collected rows."""
    name, _, _ = example.source.rpartition(":")
    return name in (COLLECTED, f"./{COLLECTED}")


def read_collected(root: Path) -> CollectedRows:
    """The rows of a project's file, whatever was decided of them; empty when there is none."""
    rows = CollectedRows([], [], [], [])
    path = root / COLLECTED
    if not path.is_file():
        return rows
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            example, prompt, provenance = _read_line(line.decode("utf-8"), number)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            rows.unreadable.append((number, f"{type(error).__name__}: {error}"[:120]))
            continue
        rows.examples.append(example)
        rows.prompts.append(prompt)
        rows.origins.append(str(provenance["why"]).split(" ")[0])
        rows.provenance.append(provenance)
    return rows


def _read_line(line: str, number: int) -> tuple[Example, str, Mapping[str, Any]]:
    row = json.loads(line)
    provenance = row["provenance"]
    why = str(provenance["why"])
    source = f"{COLLECTED}:{number}"
    if provenance.get("source"):
        source += f" after {provenance['source']}"
    model = provenance.get("model")
    example = Example.from_dict(
        {
            "messages": row["messages"],
            "split": "train",
            "tags": row["tags"],
            "group": row["group"],
            "source": source,
            "why": f"{why}; in place of an answer of {model}" if model else why,
            "rejected": row.get("rejected", row["model_answer"]),
        }
    )
    return example, str(row["prompt_id"]), provenance


def append_collected(
    root: Path,
    rows: Sequence[Example],
    *,
    model: str = "",
    failures: Iterable[str] = (),
    near: Mapping[str, str] | None = None,
) -> None:
    """Add rows at the end of the file, one line each, and wait until they are on the disk.

    Args:
        model: whose answers the rows improve. failures: what was wrong with that answer.
        near: row id → the failing dev item whose mode the row was made for.
    """
    lines = []
    for row in rows:
        provenance: dict[str, Any] = {
            "why": row.why,
            "source": row.source,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        if model:
            provenance |= {"model": model, "failures": list(failures)}
        if near and row.id in near:
            provenance["near"] = near[row.id]
        line = {
            "messages": [message.to_dict() for message in row.messages],
            "split": "train",
            "tags": list(row.tags),
            "group": row.group,
            "model_answer": row.rejected,
            "rejected": row.rejected,
            "why": row.why,
            "provenance": provenance,
            "prompt_id": hash_prompt(row),
        }
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    if not lines:
        return
    with (root / COLLECTED).open("a+b") as handle:
        handle.seek(0, os.SEEK_END)
        if handle.tell():
            handle.seek(-1, os.SEEK_END)
            if handle.read(1) != b"\n":  # a torn last line stays a separate line
                handle.write(b"\n")
        handle.write("".join(lines).encode("utf-8", "replace"))
        handle.flush()
        os.fsync(handle.fileno())
