"""``residency collect``: better answers than the model's own, from people, teachers and templates.

The method asks for about 1000 samples that are better than what the model wrote. Rows come from
the pool, from a file of prompts, or are made; dev and test are never shown, since what is
collected is trained on.
"""

from __future__ import annotations

import getpass
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from residency.data.reading.source_reader import read_sources
from residency.errors import DataError
from residency.interfaces import Generator, Progress, no_progress
from residency.nouns.example import Example, Message
from residency.nouns.response import Response
from residency.project.workspace import Workspace
from residency.store.record_kind import RecordKind
from residency.targeting.templates import (Failed, Taught, fill_templates, teach, unlike)

COLLECTED = "collected.jsonl"
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


def worst(
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

    done = {row["prompt_id"] for row in _stored(ws.root / COLLECTED)}
    known = _prompts(ws, prompts) if prompts else ws.split("pool")
    examples = [e for e in known if prompt_id(e) not in done][:rows]
    if not examples:
        raise DataError(
            "no row is left to answer",
            where=str(prompts or "pool"),
            next_step="name more rows in data.pool, or a file of prompts with --prompts",
        )
    with ws.store.writer("collect"):
        found = find_model(ws, model)
        shots = choose_model_shots(ws, found)
        stage = f"collect: {label_model(found)}"
        responses = respond(ws, found, examples, shots=shots, stage=stage)
        assessed = assess_answers(ws, found, examples, responses)
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


def _prompts(ws: Workspace, path: Path) -> list[Example]:
    """Prompts of a file, without those that the firewall refuses."""
    result = read_sources([str(path.resolve())], ws.config.data, "dev", ws.root)
    accepted, _ = _guard(ws, result.examples)
    return accepted


def prompt_id(example: Example) -> str:
    """Content hash of the prompt alone."""
    return Example(example.prompt or example.messages).id


def collect(
    ws: Workspace,
    items: Sequence[Item],
    ask: Callable[[Item, int], str | None],
    *,
    goal: int = GOAL,
    author: str = "",
) -> Collected:
    """Show items one by one and keep each better answer at once, until the goal or the end.

    Args:
        ask: called with an item and the number of rows so far; gives the better answer, an
            empty text to pass on, or None to stop.
        author: who answers (default: the login name).
    """
    path = ws.root / COLLECTED
    total = len(_stored(path))
    added = skipped = 0
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
        row = Example(
            (*item.example.prompt, Message("assistant", answer)),
            split="train",
            group=item.example.group,
            tags=item.example.tags,
            source=item.example.source,
            why=f"person {author or getpass.getuser()}",
            rejected=item.response.text if item.response.text.strip() != answer else None,
        )
        _append(ws, [row], model=item.response.model, failures=item.failures)
        added, total = added + 1, total + 1
    return Collected(path, added, total, goal, skipped)


def synthesise(
    ws: Workspace,
    *,
    documents: Sequence[str] = (),
    templates: Path | None = None,
    teacher: Generator | None = None,
    teacher_name: str = "",
    count: int = 100,
    pairs: int = 3,
    goal: int = GOAL,
    progress: Progress = no_progress,
) -> Collected:
    """Rows from templates, or from documents through a teacher; repeats and leaks left out.

    Args:
        documents: sources of raw text. teacher: a generator, by default the endpoint of
            ``[teacher]``. count: rows from templates. pairs: rows asked for of each document.

    Raises:
        ConfigError: a teacher is needed and none is named. DataError: a source is wrong.
    """
    made = Taught([], [])
    if templates is not None:
        rows = fill_templates(templates, count, seed=ws.config.project.seed)
        made = Taught(rows, [])
    if documents:
        if teacher is None:
            from residency.project.endpoints import open_configured_endpoint

            teacher, teacher_name = open_configured_endpoint(ws.config.teacher, "teacher")
        config = ws.config.data.model_copy(
            update={"format": "auto", "columns": {}, "instruction": ""}
        )
        read = read_sources(documents, config, "train", ws.root, need_answer=False)
        raw = [e for e in read.examples if len(e.messages) == 1]
        if not raw:
            raise DataError("no plain text there", where=", ".join(documents))
        taught = teach(raw, teacher, teacher_name, pairs=pairs, progress=progress)
        made = Taught(made.examples + taught.examples, taught.failed)
    accepted, refused = _guard(ws, made.examples)
    _append(ws, accepted)
    path = ws.root / COLLECTED
    total = len(_stored(path))
    return Collected(path, len(accepted), total, goal, 0, refused, made.failed)


def _guard(ws: Workspace, rows: Sequence[Example]) -> tuple[list[Example], list[tuple[str, str]]]:
    """Rows that repeat nothing and come near nothing protected, and the others with why."""
    from residency.overlap.firewall import firewall

    collected = [Example.from_dict(row["example"]) for row in _stored(ws.root / COLLECTED)]
    known = [*ws.corpus.examples, *collected]
    kept, gone = unlike(rows, known, ws.config.data)
    protected = [e for e in ws.corpus.examples if e.split in ("dev", "test")]
    background = [e for e in ws.corpus.examples if e.split in ("train", "pool")]
    result = firewall(kept, protected, ws.embedder, background=background)
    refused = [(e.prompt_text[:200], why) for e, why in gone]
    refused += [(r.example.prompt_text[:200], r.reason) for r in result.rejected]
    return list(result.accepted), refused


def _append(
    ws: Workspace, rows: Sequence[Example], *, model: str = "", failures: Sequence[str] = ()
) -> None:
    """Add rows to the file, one line each, with where each came from."""
    path = ws.root / COLLECTED
    with path.open("a", encoding="utf-8") as handle:
        for row in rows:
            at = datetime.now(UTC).isoformat(timespec="seconds")
            origin: dict[str, Any] = {"why": row.why, "source": row.source, "at": at}
            if model:
                origin |= {"model": model, "failures": list(failures)}
            line = {
                "messages": [m.to_dict() for m in row.messages],
                "tags": list(row.tags),
                "group": row.group,
                "model_answer": row.rejected,
                "provenance": origin,
                "prompt_id": prompt_id(row),
            }
            handle.write(json.dumps(line, ensure_ascii=False) + "\n")
    with ws.store.writer("collect"):
        for row in rows:
            ws.store.add_record(
                RecordKind.COLLECTED, row.id, {"why": row.why, "source": row.source}
            )


def _stored(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    out = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            example = {
                "messages": row["messages"],
                "tags": row["tags"],
                "group": row["group"],
                "rejected": row["model_answer"],
            }
            out.append(
                {"prompt_id": row["prompt_id"], "why": row["provenance"]["why"], "example": example}
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"not a collected row: {error}",
                where=f"{path}:{number}",
                next_step="correct the line or remove it",
            ) from None
    return out


def counts(ws: Workspace) -> dict[str, int]:
    """Collected rows by where they came from (person, teacher, template)."""
    kinds = Counter(str(row["why"]).split(" ")[0] for row in _stored(ws.root / COLLECTED))
    return dict(kinds)
