"""What the cards of an export tell, gathered from the project and its store."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from residency.errors import StoreError
from residency.nouns.example import Example
from residency.nouns.model import Model
from residency.nouns.verdict import Verdict
from residency.project.workspace import Workspace
from residency.results.benchmark_change import name_change_unit, write_change, write_change_interval
from residency.results.run_results import RunResults
from residency.text.counts import write_count

if TYPE_CHECKING:
    from residency.export.dataset_card import DataFacts
    from residency.export.licences import Licence, LicenceCheck
    from residency.export.model_card import CardFacts, CardIssue, CardScore

_TEACHER = re.compile(r"teacher", re.IGNORECASE)


def gather_licences(ws: Workspace, model: Model) -> LicenceCheck:
    """Licences of base, data and, where a model wrote rows, of the teacher, beside each other."""
    from residency.export.licences import (
        check_licences,
        find_base_licence,
        find_data_licence,
        find_teacher_licence,
    )

    config = ws.config
    licences: list[Licence] = [
        find_base_licence(config.model.license, ws.base.name, ws.base.path),
        find_data_licence(config.data.license, _list_data_folders(ws)),
    ]
    if _has_teacher_rows(ws, model):
        licences.append(
            find_teacher_licence(config.target.teacher_license, str(config.teacher.url))
        )
    return check_licences(licences)


def _list_data_folders(ws: Workspace) -> list[Path]:
    """Folders of the data files, and the project's folder."""
    named = [*ws.config.data.train, *ws.config.data.pool]
    local = [ws.root / str(name) for name in named if "://" not in str(name)]
    folders = [path if path.is_dir() else path.parent for path in local]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir() and folder != ws.root]


def _has_teacher_rows(ws: Workspace, model: Model) -> bool:
    return any(_TEACHER.search(e.why) for e in _list_trained(ws, model))


def _list_trained(ws: Workspace, model: Model) -> list[Example]:
    """The rows of the model's dataset version that the store has."""
    if not model.dataset:
        return []
    rows = ws.store.dataset(model.dataset).rows
    run = ws.store.latest_run()
    known = ws.store.corpus_examples(run, rows) if run else {}
    out = []
    for key in rows:
        try:
            out.append(known.get(key) or ws.store.example(key))
        except StoreError:  # a row that a later project no longer has
            continue
    return out


def count_origins(examples: Iterable[Example]) -> dict[str, int]:
    """Where rows come from, in words → how many, the most frequent first."""
    words: Counter[str] = Counter()
    for example in examples:
        why = example.why
        if why == "user" and example.split == "pool":
            words["rows of the user's pool, drawn for issues"] += 1
        elif why == "user" and example.split == "replay":
            words["general rows, against forgetting"] += 1
        elif why == "user":
            words["the user's own training rows"] += 1
        elif match := re.match(r"is-\w+ (\w+):?(\S*)", why):
            origin, selector = match.groups()
            words[f"drawn for an issue: {origin}" + (f", by {selector}" if selector else "")] += 1
        else:
            words[re.sub(r"\b(is|m|r|ex)-[0-9a-f]{6,}\b", "…", why)[:80] or "not said"] += 1
    return dict(words.most_common())


def gather_card(
    ws: Workspace,
    model: Model,
    name: str,
    files: Sequence[dict[str, Any]],
    licences: LicenceCheck,
    export_format: str,
    stopping: Sequence[str] = (),
) -> CardFacts:
    """Facts of the model's card. Verdicts and scores are those of this model, and no other's."""
    from residency.export.model_card import CardFacts

    results = RunResults(ws.store) if ws.store.latest_run() else None
    title = f"{ws.config.project.name or ws.root.resolve().name}: {name}"
    return CardFacts(
        title=title,
        name=f"{ws.config.project.name or ws.root.resolve().name}-{name}",
        base=ws.base.identity,
        model=model,
        issues=_list_issues(results, model) if results else [],
        files=files,
        budget=ws.config.generate.max_new_tokens,
        licences=licences,
        export_format=export_format,
        score=_read_score(results, model) if results else None,
        rows=ws.sizes,
        why=count_origins(_list_trained(ws, model)),
        task=ws.instruction,
        stopping=stopping,
        forgotten=_list_forgotten(results, model) if results else [],
    )


def _list_issues(results: RunResults, model: Model) -> list[CardIssue]:
    from residency.export.model_card import CardIssue

    def find_verdict(verdicts: Iterable[Verdict | None]) -> Verdict | None:
        return next((v for v in verdicts if v is not None and v.after == model.id), None)

    issues = [
        CardIssue(
            issue.title,
            issue.issue.tolerance,
            find_verdict(reversed(issue.verdicts)),
            find_verdict([issue.confirmed]),
        )
        for issue in results.issues
    ]
    return [issue for issue in issues if issue.dev is not None or issue.sealed is not None]


def _read_score(results: RunResults, model: Model) -> CardScore | None:
    """The sealed test's, where it judged this model."""
    from residency.export.model_card import CardScore
    from residency.results.leading_figures import choose_leading_figures

    test = results.test
    if test is None or test.final != model.id or not test.ready:
        return None
    change = test.primary_change or test.score_change
    sides = [test.sides[test.reference].scores, test.sides[test.final].scores]
    before, after = choose_leading_figures(sides)
    if change is None or before.mean is None or after.mean is None:
        return None
    means = before.mean, after.mean
    primary = test.primary_change
    if primary is not None and primary.before is not None and primary.after is not None:
        means = primary.before, primary.after  # over the items judged on both sides
    return CardScore(after.title, change.n, *means, change.low, change.high)


def _list_forgotten(results: RunResults, model: Model) -> list[str]:
    forgetting = results.forgetting
    if forgetting is None or results.final_id != model.id:
        return []
    return [
        f"{row['task']} {row['metric']}: {write_change(row)} {name_change_unit(row['metric'])} against "
        f"the base on {write_count(row['n'], 'item')} [{write_change_interval(row)}]: {row['status']}."
        for row in forgetting.differences
    ]


def gather_dataset_card(ws: Workspace, model: Model, licences: LicenceCheck) -> DataFacts:
    """Facts of the dataset card of the model's version."""
    from residency.export.dataset_card import DataFacts

    trained = _list_trained(ws, model)
    parts = {licence.part: licence for licence in licences.licences}
    tags = Counter(tag for example in trained for tag in example.tags)
    sources = Counter(example.source.rpartition(":")[0] or example.source for example in trained)
    return DataFacts(
        title=ws.config.project.name or ws.root.resolve().name,
        version=model.dataset or "none",
        rows=ws.sizes,
        trained=len(ws.store.dataset(model.dataset).rows) if model.dataset else 0,
        why=count_origins(trained),
        sources=dict(sources.most_common(20)),
        licence=parts["data"],
        teacher=parts.get("teacher"),
        groups=len({example.group or example.id for example in trained}),
        tags=dict(tags.most_common(20)),
        removed=dict(Counter(removed.kind for removed in ws.corpus.removed).most_common()),
        notes=list(ws.corpus.notes),
    )
