"""``residency read``: answers read by people, notes grouped into failure modes, modes made kinds.

Everything is appended to the store's log with who and when; nothing is overwritten. Functions that
need no rows of the project take its store alone, so that pages answer at once.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from residency.diagnose.notes import Note
from residency.diagnose.open_coding import (
    Chosen,
    ModeCounts,
    Progress,
    ReaderAgreement,
    choose_to_read,
    count_modes,
    measure_progress,
    measure_readers,
    suggest_groups,
)
from residency.errors import StoreError, UserError
from residency.loop.measure_kinds import MODES_KEY, load_notes
from residency.nouns.example import Example
from residency.nouns.response import Response
from residency.nouns.short_view import ShortView
from residency.project.dev_split import split_dev
from residency.project.named_kinds import (
    NamedKind,
    check_mode_name,
    read_kinds,
)
from residency.project.named_models import find_model, label_model
from residency.project.workspace import Workspace
from residency.store.record_kind import RecordKind
from residency.store.store import Store
from residency.text.counts import write_count

LONGEST_NOTE = 2000
SAMPLE = 100


@dataclass(frozen=True)
class SampledAnswer:
    """One answer of a sample: ids, why it was chosen, and the keywords of its cluster."""

    response: str
    example: str
    chosen: Chosen
    cluster: str = ""

    @property
    def reason(self) -> str:
        """Why it was chosen, in words."""
        words = {"random": "drawn at random", "both": "typical, and drawn at random"}
        return words.get(self.chosen, "typical")


@dataclass(frozen=True, repr=False)
class Reading(ShortView):
    """How the reading of one model's answers stands.

    ``left`` are the answers that ``reader`` has not noted yet, in order; ``rounds`` how often a
    sample was drawn.
    """

    model: str
    reader: str
    sample: tuple[SampledAnswer, ...]
    left: tuple[SampledAnswer, ...]
    notes: tuple[Note, ...]
    progress: Progress
    modes: list[ModeCounts]
    agreement: ReaderAgreement
    kinds: dict[str, NamedKind] = field(default_factory=dict)
    changes: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Mode → who changed it last, and when."""

    def describe(self) -> str:
        """How far it is, in a sentence."""
        return self.progress.describe()

    @property
    def ungrouped(self) -> list[Note]:
        """Notes of a failure that are in no mode yet."""
        return [note for note in self.notes if note.text and not note.mode]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "model": self.model,
            "reader": self.reader,
            "sample": len(self.sample),
            "left": [vars(answer) for answer in self.left],
            "progress": {**vars(self.progress), "sentence": self.progress.describe()},
            "notes": [{"id": note.id, **_note_body(note)} for note in self.notes],
            "modes": [
                {
                    "name": mode.name,
                    "notes": [note.id for note in mode.notes],
                    "rate": mode.rate,
                    "interval": [mode.low, mode.high],
                    "read_at_random": mode.read,
                    "kind": self.kinds[mode.name].to_dict() if mode.name in self.kinds else None,
                }
                for mode in self.modes
            ],
            "agreement": {**vars(self.agreement)},
        }


def draw_sample(ws: Workspace, *, model: str = "final", count: int = SAMPLE) -> str:
    """Choose which of a model's dev answers are read, once; the model's id.

    Only the finding part of dev is read: what is read finds issues, and the others measure them.
    A larger ``count`` than before adds answers behind those that were chosen.

    Raises:
        StoreError: the model has no answers on dev.
    """
    chosen_model = find_model(ws, model)
    known = load_sample(ws.store, chosen_model.id)
    if len(known) >= count:
        return chosen_model.id
    finding, _ = split_dev(ws)
    examples = [example for example in ws.split("dev") if example.id in finding]
    responses = [
        r
        for r in ws.store.responses(chosen_model.id, examples, ws.sampling)
        if r.sample == 0 and r.finish != "error"
    ]
    if not responses:
        raise StoreError(
            f"no answers of {label_model(chosen_model)} on dev are stored",
            next_step=f"residency eval --model {chosen_model.id}",
        )
    seed = ws.config.project.seed
    plan = choose_to_read(examples, responses, ws.embedder, count=count, seed=seed)
    there = {answer.response for answer in known}
    fresh = [
        {
            "response": item.response.id,
            "example": item.response.example,
            "chosen": item.chosen,
            "cluster": item.cluster,
        }
        for item in plan
        if item.response.id not in there
    ][: count - len(known)]
    if fresh:
        ws.store.add_record(RecordKind.READING_SAMPLE, chosen_model.id, {"answers": fresh})
    return chosen_model.id


def load_sample(store: Store, model: str) -> list[SampledAnswer]:
    """The answers of a model that were chosen to be read, in order: of each draw what chance chose last.

    Two people who choose at the same time both store the same draw; each answer is in it once.
    """
    sample: dict[str, SampledAnswer] = {}
    for row in store.records(RecordKind.READING_SAMPLE, model):
        draw = [SampledAnswer(**answer) for answer in row["answers"]]
        for answer in sorted(draw, key=lambda answer: answer.chosen == "random"):
            sample.setdefault(answer.response, answer)
    return list(sample.values())


def load_reading(store: Store, root: Path, model: str, reader: str) -> Reading:
    """Notes, modes and progress of one model's answers; ``model`` is an id."""
    sample = load_sample(store, model)
    notes = load_notes(store, model)
    read = {note.response for note in notes if note.reader == reader}
    at_random = {answer.response for answer in sample if answer.chosen != "representative"}
    first = _first_readings([note for note in notes if note.example])
    return Reading(
        model,
        reader,
        tuple(sample),
        tuple(answer for answer in sample if answer.response not in read),
        tuple(notes),
        measure_progress(first, _find_drawn(sample, {note.response for note in first})),
        count_modes(notes, at_random),
        measure_readers(notes),
        {kind.name: kind for kind in read_kinds(root)},
        _find_last_changes(store.records(RecordKind.MODE, MODES_KEY)),
    )


def make_note(store: Store, response: str, text: str, reader: str) -> tuple[str, dict[str, str]]:
    """The model and the record of a note; an empty text says that the answer is fine.

    Raises:
        StoreError: there is no such answer. UserError: the note is too long, or nobody's.
    """
    answer = store.responses_by_id([response]).get(response)
    if answer is None:
        raise StoreError(f"there is no answer {response}", next_step="residency read DIR")
    clean = " ".join(text.split())
    if len(clean) > LONGEST_NOTE:
        raise UserError(
            f"the note has {len(clean)} characters, at most {LONGEST_NOTE} are kept",
            next_step="name the first failure alone",
        )
    if not reader.strip():
        raise UserError("nobody said who reads", next_step="--reader NAME")
    body = {"response": response, "example": answer.example, "text": clean, "reader": reader}
    return answer.model, {**body, "model": answer.model}


def add_note(ws: Workspace, response: str, text: str, reader: str) -> Note:
    """Append a note. Raises as ``make_note``."""
    model, body = make_note(ws.store, response, text, reader)
    ws.store.add_record(RecordKind.NOTE, model, body)
    return Note(**body)


def make_grouping(
    notes: Sequence[Note], ids: Sequence[str], mode: str, *, seen_in: str | None = None
) -> dict[str, Any]:
    """The record that puts notes into a mode; an empty mode takes them out of theirs.

    Args:
        seen_in: the mode that they were in where somebody chose them; None does not ask.

    Raises:
        UserError: no such note, a note that found nothing wrong, one that is in another mode by now,
            or a name that cannot be one.
    """
    known = {note.id: note for note in notes}
    for key in ids:
        if key not in known or not known[key].text:
            raise UserError(
                f"{key!r} is no note of a failure", next_step="residency read DIR --json"
            )
    if not ids:
        raise UserError("no note was named", next_step="name one or more notes")
    moved = [known[key] for key in ids if seen_in is not None and known[key].mode != seen_in]
    if moved:
        now = f"is in {moved[0].mode!r}" if moved[0].mode else "is in no mode"
        raise UserError(
            f"somebody has grouped {write_count(len(moved), 'of these notes', 'of these notes')} meanwhile: "
            f"{moved[0].text[:60]!r} {now}; nothing was changed",
            next_step="load the page again, and move them if you see it otherwise",
        )
    return {"do": "assign", "notes": list(ids), "mode": check_mode_name(mode) if mode else ""}


def make_renaming(notes: Sequence[Note], mode: str, to: str) -> dict[str, Any]:
    """The record that renames a mode, or merges it into one that is there.

    Raises:
        UserError: there is no such mode, or the new name cannot be one.
    """
    if mode not in {note.mode for note in notes if note.mode}:
        raise UserError(f"there is no mode {mode!r}", next_step="residency read DIR lists them")
    return {"do": "rename", "mode": mode, "to": check_mode_name(to)}


def group_notes(ws: Workspace, ids: Sequence[str], mode: str, reader: str) -> None:
    """Put notes into a mode. Raises as ``make_grouping``."""
    body = make_grouping(load_notes(ws.store), ids, mode)
    ws.store.add_record(RecordKind.MODE, MODES_KEY, {**body, "reader": reader})


def rename_mode(ws: Workspace, mode: str, to: str, reader: str) -> None:
    """Rename or merge a mode. Raises as ``make_renaming``."""
    body = make_renaming(load_notes(ws.store), mode, to)
    ws.store.add_record(RecordKind.MODE, MODES_KEY, {**body, "reader": reader})


def suggest_modes(ws: Workspace, model: str) -> list[tuple[str, tuple[Note, ...]]]:
    """Groups of notes that may be one mode, by their words; a person decides."""
    return suggest_groups(load_notes(ws.store, model), ws.embedder, seed=ws.config.project.seed)


def find_answer(ws: Workspace, answer: SampledAnswer) -> tuple[Example, Response]:
    """The texts of a sampled answer."""
    response = ws.store.responses_by_id([answer.response])[answer.response]
    return ws.store.example(answer.example), response


def _find_last_changes(records: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    changes = {}
    for record in records:
        mode = record["to"] if record["do"] == "rename" else record["mode"]
        changes[mode] = record.get("reader", ""), record["at"]
    return changes


def _find_drawn(sample: Sequence[SampledAnswer], read: Container[str]) -> set[str]:
    """What chance drew from the answers that are no representatives, as far as these are read: an
    unread one may hold what no draw can show."""
    drawn = set()
    for answer in sample:
        if answer.chosen == "random":
            drawn.add(answer.response)
        elif answer.response not in read:
            break
    return drawn


def _first_readings(notes: Sequence[Note]) -> list[Note]:
    """Of several readers' notes on a response the first: progress counts responses."""
    first: dict[str, Note] = {}
    for note in notes:
        known = first.get(note.response)
        if known is None or (note.mode and not known.mode):
            first[note.response] = note
    return list(first.values())


def _note_body(note: Note) -> dict[str, str]:
    names = ("response", "example", "model", "text", "mode", "reader", "at")
    return {name: getattr(note, name) for name in names}
