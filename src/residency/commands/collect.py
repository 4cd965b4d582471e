"""``residency collect``: better answers than the model's own, from people.

The method asks for about 1000 samples that are better than what the model wrote. Rows come from
the pool, from a file of prompts, or are made (``make_rows``); dev and test are never shown, since
what is collected is trained on.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from residency.data.collected_rows import (
    COLLECTED,
    append_collected,
    hash_prompt,
    read_collected,
)
from residency.data.reading.source_reader import read_sources
from residency.errors import DataError
from residency.nouns.example import Example
from residency.nouns.response import Response
from residency.overlap.firewall import screen_repeats, screen_rows
from residency.project.workspace import Workspace
from residency.store.record_kind import RecordKind
from residency.targeting.preferences import correct_row
from residency.targeting.teacher import Failed

GOAL = 1000


@dataclass(frozen=True)
class Item:
    """One row to answer better: what the model wrote, what was wrong with it, the known answer."""

    example: Example
    response: Response
    failures: tuple[str, ...]
    score: float | None

    @property
    def reference(self) -> str | None:
        """The answer in the data, if there is one."""
        return self.example.reference


@dataclass(frozen=True)
class Collected:
    """What a call of ``collect`` added.

    ``total`` counts every row in the file, ``goal`` what the method asks for; ``refused`` are
    rows that repeat others, come near dev or test, or fail the suite or the judge, each with the
    reason. ``unscored``: check → how many of the added rows it could say nothing of.
    """

    path: Path
    added: int
    total: int
    goal: int
    skipped: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    unscored: dict[str, int] = field(default_factory=dict)


def find_worst_answers(
    ws: Workspace, *, model: str = "final", rows: int = 100, prompts: Path | None = None
) -> list[Item]:
    """Pool rows (or prompts of a file) on which the model did worst, worst first.

    Args:
        rows: rows of the pool that the model answers; those collected before are left out.

    Raises:
        DataError: there is nothing left to answer. StoreError: no such model.
    """
    from residency.loop.assess import assess_answers
    from residency.loop.respond import respond
    from residency.project.named_models import choose_model_shots, find_model, label_model

    done = set(read_collected(ws.root).prompts)
    known = _read_prompts(ws, prompts) if prompts else ws.split("pool")
    examples = [e for e in known if hash_prompt(e) not in done][:rows]
    if not examples:
        raise DataError(
            "no row is left to answer",
            where=str(prompts or "pool"),
            next_step="name more rows in data.pool, or a file of prompts with --prompts",
        )
    with ws.store.writer("collect"):
        stored_model = find_model(ws, model)
        shots = choose_model_shots(ws, stored_model)
        stage = f"collect: {label_model(stored_model)}"
        responses = respond(ws, stored_model, examples, shots=shots, stage=stage)
        assessed = assess_answers(ws, stored_model, examples, responses)
    severity: dict[str, float] = {response.id: 0.0 for response in responses}
    for finding in assessed.findings:
        if finding.status == "fail":
            severity[finding.response] += finding.severity
    answers: dict[str, list[Response]] = {}
    for response in responses:
        answers.setdefault(response.example, []).append(response)
    items = []
    for example in examples:
        if example.id not in answers:  # no answer arrived
            continue
        failures = [k for k, failed in assessed.kind_outcomes.items() if failed.get(example.id)]
        # Of several samples the worst is shown: it is the one to answer better.
        shown = max(answers[example.id], key=lambda response: severity[response.id])
        score = assessed.scores.by_example.get(example.id)
        items.append(Item(example, shown, tuple(failures), score))
    items.sort(
        key=lambda i: (
            i.score if i.score is not None else 0.5,
            -severity[i.response.id],
        )
    )
    return items


def _read_prompts(ws: Workspace, path: Path) -> list[Example]:
    """Prompts of a file, without those that the firewall refuses."""
    result = read_sources([str(path.resolve())], ws.config.data, "dev", ws.root)
    accepted, _ = screen_new_rows(ws, result.examples)
    return accepted


def collect_answers(
    ws: Workspace,
    items: Sequence[Item],
    ask: Callable[[Item, int], str | None],
    *,
    goal: int = GOAL,
    author: str = "",
    screen: bool = False,
) -> Collected:
    """Show items one by one and keep each better answer at once, until the goal or the end.

    Args:
        ask: called with an item and the number of rows so far; gives the better answer, an
            empty text to pass on, or None to stop.
        author: who answers (default: the login name).
        screen: hold each row against dev and test as it is answered (rows that no file holds).
    """
    path = ws.root / COLLECTED
    total = len(read_collected(ws.root).examples)
    added = skipped = 0
    refused: list[tuple[str, str]] = []
    for item in items:
        if total >= goal:
            break
        answer = ask(item, total)
        if answer is None:
            break
        answer = answer.strip()
        if not answer:
            skipped += 1
            continue
        person = author or getpass.getuser()
        row = correct_row(item.example, answer, person=person, rejected=item.response)
        if screen:
            accepted, reasons = screen_new_rows(ws, [row])
            refused += reasons
            if not accepted:
                continue
        add_training_rows(ws, [row], model=item.response.model, failures=item.failures)
        added, total = added + 1, total + 1
    return Collected(path, added, total, goal, skipped, refused)


def screen_new_rows(
    ws: Workspace, rows: Sequence[Example]
) -> tuple[list[Example], list[tuple[str, str]]]:
    """Rows that repeat nothing and come near nothing protected, and the others with why."""
    threshold = ws.config.data.near_duplicate
    # Rows that were collected since the corpus was read count too.
    known = {e.id: e for e in [*ws.corpus.examples, *read_collected(ws.root).examples]}
    fresh = screen_repeats(rows, list(known.values()), near_duplicate=threshold)
    protected = [e for e in ws.corpus.examples if e.split in ("dev", "test")]
    background = [e for e in ws.corpus.examples if e.split in ("train", "pool")]
    result = screen_rows(fresh.accepted, protected, background=background, near_duplicate=threshold)
    rejections = [*fresh.rejected, *result.rejected]
    refused = [(tell_request(r.example), r.reason) for r in rejections]
    return list(result.accepted), refused


def tell_request(row: Example) -> str:
    """The beginning of what a row asks, without the instruction that many rows share."""
    last = row.prompt[-1] if row.prompt else row.messages[-1]
    return (last.input or last.content)[:200]


def add_training_rows(
    ws: Workspace,
    rows: Sequence[Example],
    *,
    model: str = "",
    failures: Sequence[str] = (),
    near: Mapping[str, str] | None = None,
) -> None:
    """Add rows to the project's file of collected rows and to the store's record of them.

    A run that goes on need not end for it: it has read its rows, and the next one reads these.
    """
    with ws.store.people("collect"):
        append_collected(ws.root, rows, model=model, failures=failures, near=near)
        for row in rows:
            ws.store.add_record(
                RecordKind.COLLECTED, row.id, {"why": row.why, "source": row.source}
            )
