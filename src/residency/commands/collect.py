"""``residency collect``: better answers than the model's own, from people, teachers and templates.

The method asks for about 1000 samples that are better than what the model wrote. Rows come from
the pool, from a file of prompts, or are made; dev and test are never shown, since what is
collected is trained on.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
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
from residency.interfaces import Generator, Progress, no_progress
from residency.nouns.example import Example
from residency.nouns.response import Response
from residency.overlap.firewall import screen_repeats, screen_rows
from residency.project.workspace import Workspace
from residency.store.record_kind import RecordKind
from residency.targeting.preferences import correct_row
from residency.targeting.teacher import Failed, TeacherRows, write_from_documents, write_like_seeds
from residency.targeting.templates import fill_templates

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
    """What a call of ``collect`` or ``synthesise`` added.

    ``total`` counts every row in the file, ``goal`` what the method asks for; ``refused`` are
    rows that repeat others or come near dev or test, each with the reason.
    """

    path: Path
    added: int
    total: int
    goal: int
    skipped: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)


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


def generate_rows(
    ws: Workspace,
    *,
    documents: Sequence[str] = (),
    templates: Path | None = None,
    issue: str = "",
    teacher: Generator | None = None,
    teacher_name: str = "",
    count: int = 100,
    pairs: int = 3,
    goal: int = GOAL,
    progress: Progress = no_progress,
) -> Collected:
    """Rows from templates, or through a teacher from documents or for an issue; repeats and leaks
    are left out.

    Args:
        documents: sources of raw text. issue: id (or its beginning) of a stored issue, like whose
            targeted pool rows the teacher writes ``count`` new ones. teacher: a generator, by default the endpoint of
            ``[teacher]``. count: rows from templates. pairs: rows asked for of each document.

    Raises:
        ConfigError: a teacher is needed and none is named. DataError: a source is wrong.
    """
    teacher_rows = TeacherRows([], [])
    if templates is not None:
        rows = fill_templates(templates, count, seed=ws.config.project.seed)
        teacher_rows = TeacherRows(rows, [])
    if (documents or issue) and teacher is None:
        from residency.project.endpoints import open_configured_endpoint

        teacher, teacher_name = open_configured_endpoint(ws.config.teacher, "teacher")
    if documents and teacher is not None:
        raw = _read_documents(ws, documents)
        teacher_rows.add(
            write_from_documents(raw, teacher, teacher_name, pairs=pairs, progress=progress)
        )
    if issue and teacher is not None:
        teacher_rows.add(_write_for_issue(ws, issue, teacher, teacher_name, count, progress))
    accepted, refused = screen_new_rows(ws, teacher_rows.examples)
    add_training_rows(ws, accepted)
    path = ws.root / COLLECTED
    total = len(read_collected(ws.root).examples)
    return Collected(path, len(accepted), total, goal, 0, refused, teacher_rows.failed)


def _read_documents(ws: Workspace, documents: Sequence[str]) -> list[Example]:
    config = ws.config.data.model_copy(update={"format": "auto", "columns": {}, "instruction": ""})
    read = read_sources(documents, config, "train", ws.root, need_answer=False)
    raw = [e for e in read.examples if len(e.messages) == 1]
    if not raw:
        raise DataError("no plain text there", where=", ".join(documents))
    return raw


def _write_for_issue(
    ws: Workspace, key: str, teacher: Generator, name: str, count: int, progress: Progress
) -> TeacherRows:
    """Rows like the pool rows that an issue's failures draw."""
    from residency.commands.target import target
    from residency.nouns.response import Sampling

    seeds = [proposal for proposal in target(ws, key) if proposal.accepted]
    if not seeds:
        raise DataError(
            "no pool row serves this issue, so the teacher has nothing to go by",
            where=key,
            next_step="name more rows in data.pool",
        )
    issue = next(i for i in ws.store.issues(ws.latest_run()) if i.id == seeds[0].issue)
    sampling = Sampling(max_new_tokens=2 * ws.config.generate.max_new_tokens, temperature=0.7)
    return write_like_seeds(
        issue, seeds, teacher, count=count, name=name, sampling=sampling, progress=progress
    )


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
    refused = [(r.example.prompt_text[:200], r.reason) for r in rejections]
    return list(result.accepted), refused


def add_training_rows(
    ws: Workspace, rows: Sequence[Example], *, model: str = "", failures: Sequence[str] = ()
) -> None:
    """Add rows to the project's file of collected rows and to the store's record of them.

    A run that goes on need not end for it: it has read its rows, and the next one reads these.
    """
    with ws.store.people("collect"):
        append_collected(ws.root, rows, model=model, failures=failures)
        for row in rows:
            ws.store.add_record(
                RecordKind.COLLECTED, row.id, {"why": row.why, "source": row.source}
            )
