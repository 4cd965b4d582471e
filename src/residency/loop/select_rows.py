"""Rows for the next round: from the pool for each open issue, and as many at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from residency.interfaces import ProgressEvent
from residency.loop.assess import Assessment, assess_answers
from residency.loop.item_outcomes import find_issue_outcomes
from residency.loop.model_signals import StoredModelSignals
from residency.loop.part_responses import list_trained_rows
from residency.loop.respond import respond
from residency.nouns.example import Example, by_id
from residency.nouns.issue import Issue
from residency.nouns.model import Model
from residency.nouns.proposal import Proposal
from residency.overlap.firewall import screen_rows
from residency.project.step_needs import HasAnswers, HasRows
from residency.store.stage_key import StageKey, StageName
from residency.targeting.preferences import pair_failures
from residency.targeting.selectors.named_selectors import find_selector
from residency.targeting.selectors.predicted_fall import PartResponse
from residency.targeting.selectors.random_rows import draw_random_rows
from residency.targeting.selectors.selector import SelectionRequest


def select_targeted_rows(
    ws: HasAnswers,
    issues: Sequence[Issue],
    current: Assessment,
    half: set[str],
    used: Sequence[Example],
    control_used: Sequence[Example],
    number: int,
    responses: Mapping[str, PartResponse] | None = None,
) -> list[Proposal]:
    """Rows for the next round: for each open issue from the pool, and as many at random."""
    stored = ws.store.stage(ws.run_id, StageKey.of_round(StageName.TARGET, number))
    if stored is not None:
        return ws.store.proposals(ws.run_id, number)
    stage, count = f"round {number}: targeted rows", len(issues)
    ws.progress(ProgressEvent(stage, 0, count, "issues"))
    failing = gather_failures(issues, current, half)
    proposals = propose_rows(ws, issues, failing, current.model, exclude=used, responses=responses)
    if ws.config.target.control:
        accepted_count = sum(p.accepted for p in proposals)
        proposals += draw_control(
            ws, proposals, accepted_count, control_used, number, issues, current.model
        )
    ws.store.add_proposals(ws.run_id, number, proposals)
    ws.store.finish_stage(
        ws.run_id, StageKey.of_round(StageName.TARGET, number), 0.0, {"rows": len(proposals)}
    )
    ws.progress(ProgressEvent(stage, count, count, "issues"))
    return ws.store.proposals(ws.run_id, number)


def gather_failures(
    issues: Sequence[Issue], current: Assessment, half: set[str]
) -> dict[str, list[Example]]:
    """Issue id → the examples of ``half`` (the finding one) that fail it in these answers."""
    examples = by_id(current.examples)
    return {
        issue.id: [
            examples[key]
            for key, has_failed in find_issue_outcomes(issue, current).items()
            if has_failed and key in half
        ]
        for issue in issues
    }


def propose_rows(
    ws: HasAnswers,
    issues: Sequence[Issue],
    failing: Mapping[str, Sequence[Example]],
    model: Model,
    *,
    exclude: Sequence[Example] = (),
    responses: Mapping[str, PartResponse] | None = None,
    count: int | None = None,
    selector: str | None = None,
) -> list[Proposal]:
    """Pool rows for these issues by the project's selector, held against dev and test.

    Args:
        failing: issue id → its failing examples of the finding half. model: whose failures they are.
        exclude: rows in use. responses: what earlier rounds did to an issue, by its id. count: most rows an issue, instead of ``target.rows_per_issue``.
        selector: instead of ``target.selector``.

    Raises:
        ConfigError: no selector has that name.
    """
    settings, excluded_ids = ws.config.target, {example.id for example in exclude}
    request = SelectionRequest(
        issues=[issue for issue in issues if failing[issue.id]],
        failing=failing,
        pool=[row for row in ws.split("pool") if row.id not in excluded_ids],
        rows_per_issue=count or settings.rows_per_issue,
        max_rows=settings.max_rows if count is None else count * len(issues),
        seed=ws.config.project.seed,
        embedder=ws.embedder,
        signals=StoredModelSignals(ws, model),
        trained=list_trained_rows(ws, model),
        slices=ws.slices,
        responses=responses or {},
    )
    if not request.issues:
        return []
    proposals = screen_proposals(ws, find_selector(selector or settings.selector)(request))
    return pair_proposals(ws, proposals, issues, model)


def pair_proposals(
    ws: HasAnswers, proposals: Sequence[Proposal], issues: Sequence[Issue], model: Model
) -> list[Proposal]:
    """With ``train.objective = "dpo"``, proposals whose row has no worse answer get the model's.

    The model answers those rows; where its answer shows one of the issues it becomes the
    worse one, and where it does not there is no pair, so the proposal is turned down.
    """
    if ws.config.train.objective != "dpo":
        return list(proposals)
    unpaired = [p.example for p in proposals if p.accepted and p.example.rejected is None]
    if not unpaired:
        return list(proposals)
    with ws.store.writer("target"):
        responses = respond(ws, model, unpaired, stage="worse answers")
        assessment = assess_answers(ws, model, unpaired, responses)
    pairs: dict[str, Example] = {}
    for issue in issues:
        outcomes = find_issue_outcomes(issue, assessment)
        for pair in pair_failures(issue, unpaired, responses, outcomes):
            pairs.setdefault(pair.near, pair.example)
    reason = "the model's own answer shows none of the issues, so there is no pair"
    waiting = {example.id for example in unpaired}
    return [
        replace(p, example=pairs[p.example.id])
        if p.example.id in pairs
        else replace(p, accepted=False, reason=reason)
        if p.accepted and p.example.id in waiting
        else p
        for p in proposals
    ]


def draw_control(
    ws: HasAnswers,
    proposals: Sequence[Proposal],
    count: int,
    control_used: Sequence[Example],
    number: int,
    issues: Sequence[Issue],
    model: Model,
) -> list[Proposal]:
    """Random pool rows until exactly ``count`` have passed the firewall, or the pool is at its end."""
    exclude = {example.id for example in control_used}
    sources = [p for p in proposals if p.accepted]
    drawn: list[Proposal] = []
    while len(passed := [p for p in drawn if p.accepted]) < count:
        more = draw_random_rows(
            sources[len(passed) :],
            ws.split("pool"),
            exclude=exclude,
            seed=ws.config.project.seed + number,
        )
        if not more:
            break
        exclude |= {p.example.id for p in more}
        drawn += pair_proposals(ws, screen_proposals(ws, more), issues, model)
    return drawn


def screen_proposals(ws: HasRows, proposals: Sequence[Proposal]) -> list[Proposal]:
    """Proposals after the firewall: what comes near dev or test is turned down, with the reason."""
    protected = [*ws.split("dev"), *ws.split("test")]
    background = [*ws.split("train"), *ws.split("pool")]
    rows = [p.example for p in proposals]
    result = screen_rows(
        rows, protected, background=background, near_duplicate=ws.config.data.near_duplicate
    )
    reasons = {r.example.id: r.reason for r in result.rejected}
    return [
        replace(p, accepted=False, reason=reasons[p.example.id]) if p.example.id in reasons else p
        for p in proposals
    ]


def list_accepted_rows(proposals: Sequence[Proposal], arm: str) -> list[Example]:
    """Accepted rows of an arm, as training rows that say why they are here."""
    return [
        replace(p.example, split="train", why=f"{p.issue} {p.origin}:{p.selector}")
        for p in proposals
        if p.accepted and p.arm == arm
    ]
