"""Better answers written one by one: to the worst stored answers, and in a conversation."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from residency.commands.collect import Item, add_training_rows, screen_new_rows
from residency.commands.detached_process import start_command
from residency.data.collected_rows import hash_prompt, read_collected
from residency.errors import DataError, StoreError, StoreLockedError, UserError
from residency.nouns.example import Example, Message
from residency.nouns.response import Response
from residency.project.progress_file import is_alive
from residency.project.workspace import Workspace
from residency.results.run_results import RunResults
from residency.secrets import hide_secrets
from residency.store.record_kind import RecordKind
from residency.store.store import FOLDER
from residency.targeting.preferences import correct_row
from residency.text.terminal_text import make_safe

NOTE_FILE, LOG_FILE = "collect.json", "collect.log"
_CHUNK = 200
"""Rows that are looked at in one go."""


def list_worst_stored(
    results: RunResults, root: Path, model: str, *, offset: int = 0, limit: int = 10
) -> tuple[list[Item], int]:
    """Answers of a model to pool rows that are stored, most failed checks first; and how many.

    Nothing is generated and no model opened: ``find_worst_answers`` makes the answers. Rows that
    were answered better before are left out, and of several samples the worst is shown.
    """
    done = set(read_collected(root).prompts)
    order, total = _order_worst(results, model)
    left: list[tuple[Example, str]] = []
    written, start = 0, 0
    while len(left) < offset + limit and (some := order(start, _CHUNK)):
        start += _CHUNK
        answers = dict(some)
        for example in results.answers.examples([key for key, _ in some]):
            if hash_prompt(example) in done:
                written += 1
            else:
                left.append((example, answers[example.id]))
    shown = left[offset : offset + limit]
    responses = results.answers.responses({response for _, response in shown})
    judged = results.answers.outcomes(model, "pool", [example.id for example, _ in shown])
    items = []
    for example, key in shown:
        if key in responses:
            outcomes = [row for row in judged[example.id] if row.response == key]
            items.append(
                Item(example, responses[key], results.answers.failed_kinds(outcomes), None)
            )
    return items, total - written


Slice = Callable[[int, int], Sequence[tuple[str, str]]]


def _order_worst(results: RunResults, model: str) -> tuple[Slice, int]:
    """Parts of the pool's items with their worst answers (ids), most failures first; and how many."""
    answers = results.answers
    if answers.has_one_answer(model):
        item_filter = answers.make_item_filter("pool")

        def read(start: int, count: int) -> Sequence[tuple[str, str]]:
            return results.store.worst_answers(item_filter, model, offset=start, limit=count)

        return read, results.store.count_judged(item_filter, model)
    worst = {
        example: max(rows, key=lambda row: len(row.failed))
        for example, rows in answers.outcomes(model, "pool").items()
    }
    order = sorted(worst, key=lambda example: (-len(worst[example].failed), example))
    pairs = [(example, worst[example].response) for example in order]
    return lambda start, count: pairs[start : start + count], len(pairs)


def add_better_answer(
    ws: Workspace, run: str, response: str, answer: str, *, person: str
) -> Example:
    """A person's better answer to what a model answered: a training row, and where it differs from
    the model's a preference pair.

    Raises:
        StoreError: there is no such answer. UserError: the answer is empty, somebody has answered the
            request already, or the row belongs to dev or test, which are never trained on.
    """
    known = ws.store.responses_by_id([response]).get(response)
    if known is None:
        raise StoreError(f"there is no answer {response}", next_step="residency collect DIR")
    example = ws.store.corpus_examples(run, [known.example]).get(known.example)
    if example is None or example.split in ("dev", "test"):
        raise UserError(
            "this row is not one of the pool or train",
            where=known.example,
            next_step="what measures a model is never trained on",
        )
    if not answer.strip():
        raise UserError("the answer is empty", next_step="write it, or pass on to the next one")
    row = correct_row(example, answer.strip(), person=person, rejected=known)
    scope = ws.store.records(RecordKind.SCOPE, run)
    failures = sorted(
        {
            finding.kind
            for record in scope
            for finding in ws.store.findings(record["scope"], [known])
            if finding.status == "fail"
        }
    )
    with ws.store.people("collect"):  # of two who answer the same request the second is told
        _check_unanswered(ws.root, row)
        add_training_rows(ws, [row], model=known.model, failures=failures)
    return row


def _check_unanswered(root: Path, row: Example) -> None:
    """Raises UserError where a person has answered the row's request already."""
    written = read_collected(root)
    for example, prompt in zip(written.examples, written.prompts, strict=True):
        if prompt == hash_prompt(row) and example.why.startswith("person "):
            raise UserError(
                f"{example.why.partition(';')[0].removeprefix('person ')} has answered this request already",
                where=example.source.partition(" ")[0],
                next_step="go on to the next one; to change that answer, edit its line in the file",
            )


def add_conversation(
    ws: Workspace,
    messages: Sequence[Message],
    answer: str,
    *,
    person: str,
    rejected: str,
    model: str,
) -> Example:
    """A conversation with the answer that a person wants, as a training row.

    Args:
        rejected: what the model answered; where it differs, the row is a preference pair as well.

    Raises:
        UserError: the answer is empty. DataError: it repeats a row, or comes near dev or test.
    """
    if not answer.strip():
        raise UserError("the answer is empty", next_step="write what the model should have said")
    rejected_response = Response(model, "", rejected)
    row = correct_row(
        Example(tuple(messages), split="train", source="chat"),
        answer.strip(),
        person=person,
        rejected=rejected_response,
    )
    accepted, refused = screen_new_rows(ws, [row])
    if not accepted:
        raise DataError(
            f"the row is refused: {refused[0][1]}",
            next_step="a new row repeats no other and stays far from dev and test: ask something else",
        )
    add_training_rows(ws, accepted, model=model)
    return accepted[0]


def start_answering(root: Path, model: str, rows: int) -> int:
    """Let a model answer rows of the pool in a new process; its id.

    It is ``residency collect DIR --json``, whose answers are stored one by one.

    Raises:
        StoreLockedError: it is at it already. StoreError: it cannot be started.
    """
    if is_answering(root):
        raise StoreLockedError("the pool is being answered already", next_step="wait for the rows")
    folder = root / FOLDER
    words = ["collect", str(root), "--json", "--model", model, "--limit", str(rows)]
    return start_command(
        words, root, log=folder / LOG_FILE, note=folder / NOTE_FILE, errors_only=True
    )


def is_answering(root: Path) -> bool:
    """Whether a process answers the pool now."""
    try:
        note = json.loads((root / FOLDER / NOTE_FILE).read_bytes())
        return is_alive(int(note["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def read_last_words(root: Path) -> str:
    """The end of what the last such process said: why it stopped, where it did."""
    try:
        text = (root / FOLDER / LOG_FILE).read_bytes()[-2000:].decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line for line in make_safe(hide_secrets(text)).splitlines() if line.strip()]
    return "\n".join(line for line in lines if line.startswith(("error", "→", "internal")))[-600:]
