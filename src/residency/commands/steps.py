"""Single steps on stored rows: train, evaluate, diagnose, target, compare, chat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from residency.diagnose.dev_halves import halves
from residency.diagnose.find_issues import find_issues
from residency.errors import StoreError, UserError
from residency.evaluate.suites.suite import check_suite
from residency.interfaces import Generator
from residency.loop.fine_tune import fit
from residency.loop.item_outcomes import kind_outcomes, outcomes_of, overall_change
from residency.loop.respond import (
    ZERO_SHOT,
    Assessed,
    assess,
    base_model,
    label_of,
    require_local,
    respond,
    shots_of,
)
from residency.loop.select_rows import screened
from residency.nouns.example import Example, Message, Split, by_id
from residency.nouns.finding import Finding
from residency.nouns.issue import Issue
from residency.nouns.model import Model
from residency.nouns.proposal import Proposal
from residency.project.endpoints import Endpoint
from residency.project.workspace import Workspace
from residency.targeting.select_rows import propose

__all__ = [
    "Assessed",
    "Compared",
    "Diagnosis",
    "chat",
    "compare",
    "diagnose",
    "evaluate",
    "find_model",
    "remarks",
    "target",
    "train",
]


@dataclass(frozen=True)
class Diagnosis:
    """Findings of a model on dev, the issues that its finding half shows, and each issue's failures."""

    model: Model
    findings: list[Finding]
    issues: list[Issue]
    failing: dict[str, list[str]]


@dataclass(frozen=True)
class Compared:
    """Two models, kind by kind, and the items on which they differ.

    ``fixed`` and ``broken`` map a kind to example ids.
    """

    before: Model
    after: Model
    split: str
    kinds: dict[str, dict[str, Any]]
    fixed: dict[str, list[str]]
    broken: dict[str, list[str]]
    scores: tuple[dict[str, Any], dict[str, Any]]


def find_model(ws: Workspace, name: str) -> Model:
    """A model by name: ``base``, ``few-shot``, ``final``, ``round-N``, ``round-N-control``, or an id.

    Raises:
        StoreError: no stored model is meant.
    """
    if name in ("base", ZERO_SHOT):
        return base_model(ws)
    if name == "few-shot":
        return base_model(ws, shots_of(ws))
    run = ws.store.latest_run()
    rounds = ws.store.rounds(run) if run else []
    if name == "final" and run:
        done = ws.store.stage(run, "complete")
        mains = [r.model for r, _ in rounds if r.arm == "main"]
        if done is not None or mains:
            return ws.store.model(done["result"]["final"] if done else mains[-1])
    for round_, _ in rounds:
        suffix = "" if round_.arm == "main" else f"-{round_.arm}"
        if name == f"round-{round_.index}{suffix}":
            return ws.store.model(round_.model)
    ids = [key for key in ws.store.find(name) if key.startswith("m-")] if name else []
    if len(ids) == 1:
        return ws.store.model(ids[0])
    known = ["base", "few-shot", *(f"round-{r.index}" for r, _ in rounds if r.arm == "main")]
    raise StoreError(
        f"no stored model is called {name!r}" if not ids else f"{name!r} fits {len(ids)} models",
        next_step=f"name one of: {', '.join(known)}, or an id from residency status",
    )


def shots_for(ws: Workspace, model: Model) -> list[Example]:
    """The few-shot examples that a model is prompted with."""
    return [] if model.prompting == ZERO_SHOT else shots_of(ws)


def train(ws: Workspace, *, issues: Sequence[str] = (), extend: float = 0.0) -> Model:
    """Train once on the train split and the accepted rows of these issues (ids or prefixes).

    ``extend`` adds so many epochs to the last such training, from its checkpoint.

    Raises:
        UserError: no training of these rows and settings is kept to be extended.
    """
    with ws.store.writer("train"):
        rows = list(ws.split("train"))
        run = ws.latest_run() if issues else ws.run_id
        for proposal in ws.store.proposals(run):
            wanted = any(proposal.issue.startswith(issue) for issue in issues)
            if wanted and proposal.accepted and proposal.arm == "main":
                rows.append(proposal.example)
        note = "residency train"
        return fit(ws, rows, round_=1, arm="main", parent=None, note=note, kept=True, extend=extend)


def evaluate(
    ws: Workspace, name: str, split: Split, *, endpoint: Endpoint | None = None
) -> Assessed:
    """Answers of a model on a split, generated where missing, graded and diagnosed.

    ``endpoint`` is asked in place of the named model; its answers are stored under its own id.

    Raises:
        UserError: for the sealed test split, which only ``run`` opens.
        EndpointError: it cannot be asked; what it answered before is kept.
    """
    if split == "test":
        raise UserError(
            "the test split is sealed: it confirms once, at the end of a run",
            next_step="use --split dev, or residency run",
        )
    with ws.store.writer("eval"):
        if endpoint is None:
            return _assessed(ws, find_model(ws, name), split, None)
        ws.store.add_model(endpoint.model)
        return _assessed(ws, endpoint.model, split, endpoint.generator)


def remarks(ws: Workspace, assessed: Assessed) -> list[str]:
    """What a reader of the scores should know: rules without items, and kinds never scored."""
    lines = list(check_suite(ws.suite, assessed.examples)) if ws.suite.source else []
    for kind, rate in assessed.scores.kinds.items():
        reasons = Counter(f.message for f in assessed.findings if f.kind == kind)
        if not rate.scored and reasons:
            reason, count = reasons.most_common(1)[0]
            share = "" if count == rate.total else f" (in {count} of {rate.total})"
            lines.append(f"{kind} was never scored: {reason}{share}")
    return lines


def _assessed(ws: Workspace, model: Model, split: Split, generator: Generator | None) -> Assessed:
    examples = ws.split(split)
    shots = shots_for(ws, model)
    stage = f"{split}: {label_of(model)}"
    responses = respond(ws, model, examples, shots=shots, stage=stage, generator=generator)
    return assess(ws, model, examples, responses)


def _stored(ws: Workspace, model: Model, split: Split) -> Assessed:
    examples = ws.split(split)
    responses = ws.store.responses(model.id, examples, ws.sampling)
    if not responses:
        raise StoreError(
            f"no answers of {label_of(model)} on {split} are stored",
            next_step=f"residency eval --model {model.id} --split {split}",
        )
    return assess(ws, model, examples, responses)


def diagnose(ws: Workspace, name: str) -> Diagnosis:
    """Run the detectors again on stored dev answers and group failures into issues."""
    assessed = _stored(ws, find_model(ws, name), "dev")
    half, _ = halves(
        assessed.examples, ws.config.project.seed, share=ws.config.diagnose.finding_share
    )
    issues = find_issues(
        assessed.examples,
        assessed.findings,
        assessed.responses,
        half=half,
        model=assessed.model.id,
        round=assessed.model.round,
        config=ws.config.diagnose,
        known=[],
        clusters=ws.clusters,
    )
    failing = {
        issue.id: [key for key, bad in outcomes_of(issue, assessed).items() if bad]
        for issue in issues
    }
    return Diagnosis(assessed.model, assessed.findings, issues, failing)


def target(ws: Workspace, key: str, *, count: int | None = None) -> list[Proposal]:
    """Pool rows for one stored issue (id or prefix), drawn by the final model's failures.

    Raises:
        StoreError: no such issue, or its failures are not stored.
    """
    found = [i for i in ws.store.issues(ws.latest_run()) if i.id.startswith(key)]
    if len(found) != 1:
        raise StoreError(
            f"{len(found)} issues begin with {key!r}", next_step="residency status lists them"
        )
    assessed = _stored(ws, find_model(ws, "final"), "dev")
    half, _ = halves(
        assessed.examples, ws.config.project.seed, share=ws.config.diagnose.finding_share
    )
    examples = by_id(assessed.examples)
    failed = outcomes_of(found[0], assessed)
    failing = [examples[k] for k, bad in failed.items() if bad and k in half]
    if not failing:
        return []
    proposals = propose(
        found[0],
        failing,
        ws.split("pool"),
        count=count or ws.config.target.rows_per_issue,
        embedder=ws.embedder,
        exclude=set(),
        seed=ws.config.project.seed,
    )
    return screened(ws, proposals)


def compare(ws: Workspace, before: str, after: str, split: Split) -> Compared:
    """Two models on the same stored items: paired figures for each kind, and which items changed."""
    sides = [_stored(ws, find_model(ws, name), split) for name in (before, after)]
    kinds = overall_change(*sides)
    fixed, broken = {}, {}
    for kind in kinds:
        then, now = (kind_outcomes(kind, side) for side in sides)
        fixed[kind] = [k for k in now if then.get(k) and now[k] is False]
        broken[kind] = [k for k in now if then.get(k) is False and now[k]]
    scores = (sides[0].scores.to_dict(), sides[1].scores.to_dict())
    return Compared(sides[0].model, sides[1].model, split, kinds, fixed, broken, scores)


def chat(ws: Workspace, messages: Sequence[Message], name: str) -> Iterator[str]:
    """Stream an answer of a stored model."""
    model = find_model(ws, name)
    require_local(ws, model, "only local models can be chatted with")
    ws.engine.use_adapter(ws.store.artifacts.folder(model.adapter) if model.adapter else None)
    return ws.engine.stream(messages, ws.sampling)
