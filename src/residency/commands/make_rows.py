"""``residency collect`` with ``--documents``, ``--issue`` or ``--templates``: rows that are made.

What a teacher or a template wrote is a proposal: it is held against all rows, dev and test, verified
by the suite and the judge, and then looked at by people (``residency rows``).
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from residency.commands.collect import (
    GOAL,
    Collected,
    add_training_rows,
    screen_new_rows,
    tell_request,
)
from residency.commands.target import find_issue_failures, target
from residency.data.collected_rows import COLLECTED, read_collected
from residency.data.reading.source_reader import read_sources
from residency.errors import DataError
from residency.evaluate.judge.prompts import Rubric
from residency.interfaces import Generator, Progress, no_progress
from residency.loop.judge_model import open_judge
from residency.loop.verify_rows import (
    VerifiedRows,
    check_suite_runs,
    verify_by_judge,
    verify_by_suite,
)
from residency.nouns.example import Example, by_id
from residency.nouns.issue import Slice
from residency.nouns.proposal import Proposal
from residency.nouns.response import Sampling
from residency.project.endpoints import open_configured_endpoint
from residency.project.workspace import Workspace
from residency.results.kinds import issue_title
from residency.targeting.seed_turns import order_seeds
from residency.targeting.teacher import TeacherRows, write_from_documents, write_like_seeds
from residency.targeting.templates import fill_templates
from residency.text.counts import write_count

TEMPLATE_ROWS = 20
"""Rows of templates that are filled for each that an issue asks for."""
Verify = Callable[[Sequence[Example]], VerifiedRows]


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
    criterion: str = "",
    goal: int = GOAL,
    progress: Progress = no_progress,
) -> Collected:
    """Rows from templates or through a teacher, from documents, for an issue, or of the whole task.

    Left out, with the reason: repeats, what comes near dev or test, rows for an issue or of templates
    that fail the suite or a kind of the project, and rows that the judge fails or cannot rate.

    Args:
        documents: sources of raw text. issue: id (or its beginning) of a stored issue: ``count`` rows
            are of its mode, those of the templates or, without some, new ones that the teacher writes
            like the pool rows that its failures draw. teacher: a generator, by default the endpoint of
            ``[teacher]``. pairs: rows asked for of each document.
        criterion: what ``[judge]`` rates every row by; empty asks it only about the project's kinds.

    Raises:
        ConfigError: a teacher or judge is needed and none is named. DataError: a source is wrong.
    """
    judge_rows: Verify | None = None
    if criterion:  # before anything is paid for
        judge_rows = partial(verify_by_judge, ws, open_judge(ws), Rubric("made rows", criterion))
    if (documents or (issue and templates is None)) and teacher is None:
        teacher, teacher_name = open_configured_endpoint(ws.config.teacher, "teacher")
    of_task, of_documents = TeacherRows([], []), TeacherRows([], [])
    if documents and teacher is not None:
        raw = _read_documents(ws, documents)
        of_documents.add(
            write_from_documents(raw, teacher, teacher_name, pairs=pairs, progress=progress)
        )
    if templates is not None and issue:
        of_task.add(_fill_for_issue(ws, issue, templates, count))
    elif templates is not None:
        of_task.examples.extend(fill_templates(templates, count, seed=ws.config.project.seed))
    elif issue and teacher is not None:
        of_task.add(_write_for_issue(ws, issue, teacher, teacher_name, count, progress))
    return _add_made_rows(ws, of_task, of_documents, judge_rows, goal)


def _add_made_rows(
    ws: Workspace,
    of_task: TeacherRows,
    of_documents: TeacherRows,
    judge_rows: Verify | None,
    goal: int,
) -> Collected:
    """Screen and verify made rows, and add what is left to the project's file.

    Rows of documents have instructions of their own, so the suite of the task says nothing of them.
    """
    accepted, refused = screen_new_rows(ws, [*of_task.examples, *of_documents.examples])
    outside_task = by_id(of_documents.examples)
    verified = verify_by_suite(
        ws,
        [row for row in accepted if row.id not in outside_task],
        seeds={row: seed.example for row, seed in of_task.seeds.items()},
    )
    rows = [*verified.accepted, *(row for row in accepted if row.id in outside_task)]
    reasons = verified.refused
    if judge_rows is not None:
        judged = judge_rows(rows)
        rows, reasons = judged.accepted, [*reasons, *judged.refused]
    silent = Counter(check for row in rows for check in verified.unscored.get(row.id, ()))
    near = {row: seed.near for row, seed in of_task.seeds.items() if seed.near}
    add_training_rows(ws, rows, near=near)
    ws.forget_rows()
    return Collected(
        path=ws.root / COLLECTED,
        added=len(rows),
        total=len(read_collected(ws.root).examples),
        goal=goal,
        refused=[*refused, *((tell_request(row), why) for row, why in reasons)],
        failed=[*of_task.failed, *of_documents.failed],
        unscored=dict(silent.most_common()),
    )


def _read_documents(ws: Workspace, documents: Sequence[str]) -> list[Example]:
    config = ws.config.data.model_copy(update={"format": "auto", "columns": {}, "instruction": ""})
    read = read_sources(documents, config, "train", ws.root, need_answer=False)
    raw = [e for e in read.examples if len(e.messages) == 1]
    if not raw:
        raise DataError("no plain text there", where=", ".join(documents))
    return raw


def choose_seeds(ws: Workspace, key: str, count: int) -> list[Proposal]:
    """``count`` pool rows to write new ones like: the failing items of an issue take turns.

    They come from dev's finding part alone; each seed names the item (``near``) whose mode it is of.

    Raises:
        DataError: no pool row serves the issue. StoreError: no such issue.
    """
    proposals = [p for p in target(ws, key) if p.accepted and p.example.reference]
    if not proposals:
        raise DataError(
            "no pool row serves this issue, so the teacher has nothing to go by",
            where=key,
            next_step="name more rows in data.pool",
        )
    issue, failing, _ = find_issue_failures(ws, key)
    return order_seeds(proposals, failing, [issue.slice, *ws.slices], count)


def _fill_for_issue(ws: Workspace, key: str, path: Path, count: int) -> TeacherRows:
    """At most ``count`` rows of the templates that lie where an issue fails: the modes of its failing
    items in proportion.

    Raises:
        DataError: no row of the templates lies there.
    """
    issue, failing, _ = find_issue_failures(ws, key)
    seed = ws.config.project.seed
    rows = fill_templates(path, 1, seed=seed, most=TEMPLATE_ROWS * count)
    slices = {f"{w.by}: {w.value}": w for w in [issue.slice, *ws.list_slices(rows)]}
    proposals = []
    for name in dict.fromkeys(p.part for p in target(ws, key) if p.accepted):
        part = name or f"{issue.slice.by}: {issue.slice.value}"
        by, _, value = part.partition(": ")
        where = Slice("tag", value) if by == "tag" else slices.get(part)
        proposals += [
            Proposal(issue.id, row, "template", row.source, 1.0, part=name)
            for row in rows
            if where is not None and where.contains(row)
        ]
    made = TeacherRows([], [])
    for proposal in order_seeds(proposals, failing, list(slices.values()), count):
        row = replace(proposal.example, why=f"template for {issue.id}")
        if row.id not in made.seeds:
            made.examples.append(row)
            made.seeds[row.id] = proposal
    if not made.examples:
        raise DataError(
            f"none of {write_count(len(rows), 'row')} lies where this issue fails ({issue_title(issue)})",
            where=str(path),
            next_step=f"residency target {shlex.quote(str(ws.root))} {issue.id} shows pool rows that lie "
            "there: write the templates with their tags, answers or words, or leave out --issue",
        )
    return made


def _write_for_issue(
    ws: Workspace, key: str, teacher: Generator, name: str, count: int, progress: Progress
) -> TeacherRows:
    """One row like each seed.

    Raises:
        SuiteError: a rule raises on every seed, so it would on what the teacher is paid for.
    """
    seeds = choose_seeds(ws, key, count)
    check_suite_runs(ws, list(by_id([seed.example for seed in seeds]).values()))
    issue = next(i for i in ws.store.issues(ws.latest_run()) if i.id == seeds[0].issue)
    sampling = Sampling(max_new_tokens=2 * ws.config.generate.max_new_tokens, temperature=0.7)
    return write_like_seeds(
        issue, seeds, teacher, count=len(seeds), name=name, sampling=sampling, progress=progress
    )
