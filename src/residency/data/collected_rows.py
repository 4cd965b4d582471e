"""``collected.jsonl``: rows that people, teachers and templates added to a project.

The file is append-only and belongs to train: its rows join it by themselves and never go to dev,
test or pool. Nothing a person wrote is lost: a line that was torn when the machine stopped stays in
the file, is told, and neither blocks the other rows nor runs together with the next one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
        unpaired: rows left out since preferences are trained and they hold no worse answer.
    """

    examples: list[Example]
    prompts: list[str]
    origins: list[str]
    unreadable: list[tuple[int, str]]
    unpaired: int = 0

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


def read_collected(root: Path, *, pairs_only: bool = False) -> CollectedRows:
    """The rows of a project's file; empty when there is none.

    ``pairs_only`` leaves out rows without a worse answer, which DPO cannot train.
    """
    rows = CollectedRows([], [], [], [])
    path = root / COLLECTED
    if not path.is_file():
        return rows
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            example, prompt, origin = _read_line(line.decode("utf-8"), number)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            rows.unreadable.append((number, f"{type(error).__name__}: {error}"[:120]))
            continue
        rows.examples.append(example)
        rows.prompts.append(prompt)
        rows.origins.append(origin)
    if not pairs_only:
        return rows
    paired = [n for n, example in enumerate(rows.examples) if example.rejected is not None]
    return CollectedRows(
        [rows.examples[n] for n in paired],
        [rows.prompts[n] for n in paired],
        [rows.origins[n] for n in paired],
        rows.unreadable,
        len(rows.examples) - len(paired),
    )


def _read_line(line: str, number: int) -> tuple[Example, str, str]:
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
    return example, str(row["prompt_id"]), why.split(" ")[0]


def append_collected(
    root: Path, rows: Sequence[Example], *, model: str = "", failures: Iterable[str] = ()
) -> None:
    """Add rows at the end of the file, one line each, and wait until they are on the disk.

    Args:
        model: whose answers the rows improve. failures: what was wrong with that answer.
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
