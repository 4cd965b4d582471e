"""Notes of readers on answers: what was written, what became of it, and what it says as findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from residency.nouns.content_id import content_id
from residency.nouns.finding import Finding


@dataclass(frozen=True)
class Note:
    """What a reader wrote about one response: the first failure, or an empty text if it is fine.

    ``mode`` is the failure mode that axial coding gave it, empty until then. ``model`` and
    ``example`` say whose answer it is, to what; ``at`` is when it was first written.
    """

    response: str
    text: str
    mode: str = ""
    reader: str = ""
    model: str = ""
    example: str = ""
    at: str = ""

    @cached_property
    def id(self) -> str:
        """One reader's note on one response; writing it anew keeps its id."""
        return note_id(self.response, self.reader)


def note_id(response: str, reader: str) -> str:
    """The id of a reader's note on a response."""
    return content_id("note", [response, reader])


def replay_notes(
    notes: Sequence[Mapping[str, Any]], changes: Sequence[Mapping[str, Any]]
) -> list[Note]:
    """Notes as they stand after everything that was done to them, in the order of first writing.

    Args:
        notes: records of notes, oldest first; a later one of the same reader and response
            replaces the text.
        changes: what was done to modes, oldest first: ``{"do": "assign", "notes": [ids],
            "mode": …}`` (an empty mode takes it away again) or ``{"do": "rename", "mode": …,
            "to": …}``, which merges where the name is there already.
    """
    known: dict[str, Note] = {}
    for row in notes:
        key = note_id(row["response"], row["reader"])
        first = known.get(key)
        known[key] = Note(
            row["response"],
            row["text"],
            reader=row["reader"],
            model=row.get("model", ""),
            example=row.get("example", ""),
            at=first.at if first else row.get("at", ""),
        )
    modes: dict[str, str] = {}
    for change in changes:
        if change["do"] == "assign":
            modes.update(dict.fromkeys(change["notes"], change["mode"]))
        elif change["do"] == "rename":
            modes = {
                key: change["to"] if mode == change["mode"] else mode for key, mode in modes.items()
            }
    return [
        Note(
            n.response,
            n.text,
            modes.get(key, "") if n.text else "",
            n.reader,
            n.model,
            n.example,
            n.at,
        )
        for key, n in known.items()
    ]


def findings_of_notes(notes: Sequence[Note], modes: Mapping[str, float]) -> list[Finding]:
    """Notes as findings: for each response read and each mode one pass or fail.

    Args:
        modes: failure mode → severity in (0, 1]. Since only the first failure of a response is
            noted, its other modes are *unscored*, not passed. Where readers differ on a mode, it
            is unscored as well.
    """
    by_response: dict[str, list[Note]] = {}
    for note in notes:
        by_response.setdefault(note.response, []).append(note)
    out = []
    for response, several in by_response.items():
        for mode, severity in modes.items():
            statuses = {
                "fail" if n.mode == mode else "unscored" if n.text else "pass" for n in several
            }
            status = statuses.pop() if len(statuses) == 1 else "unscored"
            failed = status == "fail"
            out.append(
                Finding(
                    response=response,
                    kind=mode,
                    status="fail" if failed else "pass" if status == "pass" else "unscored",
                    detector="reading",
                    version="1",
                    severity=severity if failed else 0.0,
                    message=next(n.text for n in several if n.mode == mode) if failed else "",
                )
            )
    return out
