"""Rows for the next round: from the pool for each open issue, and as many at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from residency.interfaces import ProgressEvent
from residency.loop.assess import Assessment
from residency.loop.item_outcomes import find_issue_outcomes
from residency.nouns.example import Example, by_id
from residency.nouns.issue import Issue
from residency.nouns.proposal import Proposal
from residency.overlap.firewall import firewall
from residency.project.workspace import Workspace
from residency.store.stage_key import StageKey, StageName
from residency.targeting.selectors.embedding import control, propose


def targeted_rows(
    ws: Workspace,
    issues: Sequence[Issue],
    current: Assessment,
    half: set[str],
    used: Sequence[Example],
    control_used: Sequence[Example],
    number: int,
) -> list[Proposal]:
    """Rows for the next round: for each open issue from the pool, and as many at random."""
    stored = ws.store.stage(ws.run_id, StageKey.of_round(StageName.TARGET, number))
    if stored is not None:
        return ws.store.proposals(ws.run_id, number)
    ws.progress(ProgressEvent(f"round {number}: targeted rows", 0, len(issues), "issues"))
    settings, seed = ws.config.target, ws.config.project.seed
    pool = ws.split("pool")
    taken = {e.id for e in used}
    examples = by_id(current.examples)
    failing = {
        issue.id: [
            examples[k]
            for k, bad in find_issue_outcomes(issue, current).items()
            if bad and k in half
        ]
        for issue in issues
    }
    asking = [issue for issue in issues if failing[issue.id]]
    proposals: list[Proposal] = []
    for place, issue in enumerate(asking):
        # A fair share of what is left, so that the last issue is not left without rows.
        share = -(-(settings.max_rows - len(proposals)) // (len(asking) - place))
        found = propose(
            issue,
            failing[issue.id],
            pool,
            count=min(settings.rows_per_issue, share),
            embedder=ws.embedder,
            exclude=taken,
            seed=seed,
        )
        taken |= {p.example.id for p in found}
        proposals += found
        ws.progress(
            ProgressEvent(f"round {number}: targeted rows", place + 1, len(asking), "issues")
        )
    proposals = screened(ws, proposals)
    if settings.control:
        kept = [p for p in proposals if p.accepted]
        exclude = {e.id for e in control_used}
        drawn = control(kept, pool, exclude=exclude, seed=seed + number)
        proposals += screened(ws, drawn)
    ws.store.add_proposals(ws.run_id, number, proposals)
    ws.store.finish_stage(
        ws.run_id, StageKey.of_round(StageName.TARGET, number), 0.0, {"rows": len(proposals)}
    )
    return ws.store.proposals(ws.run_id, number)


def screened(ws: Workspace, proposals: Sequence[Proposal]) -> list[Proposal]:
    """Proposals after the firewall: what comes near dev or test is turned down, with the reason."""
    protected = [*ws.split("dev"), *ws.split("test")]
    background = [*ws.split("train"), *ws.split("pool")]
    rows = [p.example for p in proposals]
    result = firewall(rows, protected, ws.embedder, background=background)
    reasons = {r.example.id: r.reason for r in result.rejected}
    return [
        replace(p, accepted=False, reason=reasons[p.example.id]) if p.example.id in reasons else p
        for p in proposals
    ]


def accepted(proposals: Sequence[Proposal], arm: str) -> list[Example]:
    """Accepted rows of an arm, as training rows that say why they are here."""
    return [
        replace(p.example, split="train", why=f"{p.issue} {p.origin}:{p.selector}")
        for p in proposals
        if p.accepted and p.arm == arm
    ]
