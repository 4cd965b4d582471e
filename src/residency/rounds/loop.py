"""The loop: prompted base → issues → fine-tune → verdicts → targeted data → … → sealed test.

It reads from top to bottom. Every step is stored when it ends, so the same call goes on
where an interrupted one stopped, and a second call with nothing to do changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from residency import diagnose, target
from residency.rounds.change import item_scores, score_change
from residency.rounds.shown import trained_rows
from residency.rounds.steps import (
    ZERO_SHOT,
    Assessed,
    assess,
    base_model,
    fit,
    label_of,
    respond,
    shots_of,
    staged,
)
from residency.rounds.summary import RunSummary, summarise_run
from residency.rounds.workspace import Workspace
from residency.types import (
    Example,
    Issue,
    Model,
    ProgressEvent,
    Proposal,
    Round,
    Split,
    Verdict,
    by_id,
)

COMPLETE = "complete"

Known = tuple[Issue, Assessed]
"""An issue, and the answers in which it was found: its reference."""


def run(ws: Workspace) -> RunSummary:
    """Take the project through its rounds, from wherever it is.

    Raises:
        StoreLockedError: another process is at it.
        UserError: data, settings or model are wrong; nothing half-done remains.
    """
    with ws.store.writer("run"):
        run_id = ws.run_id
        if ws.store.stage(run_id, COMPLETE) is None:
            _check_splits(ws)
            baselines = prompted_baselines(ws)
            reference = max(baselines.values(), key=standing)
            record_data(ws)
            mains = rounds(ws, reference)
            best = max(mains, key=standing)
            sealed_test(ws, list(baselines.values()), reference.model, best.model)
            staged(ws, COMPLETE, lambda: {"final": best.model.id})
        return summarise_run(ws.store, run_id)


def standing(assessed: Assessed) -> float:
    """What models are ranked by: the score with every unscored check counted as failed.

    Otherwise a model whose answers cannot be read at all would be judged by what little could.
    """
    return assessed.scores.score.floor


# --- round 0 ------------------------------------------------------------------------------


def prompted_baselines(ws: Workspace) -> dict[str, Assessed]:
    """Round 0: the base model on dev, zero-shot and (if asked for) few-shot."""
    out = {}
    arms: dict[str, list[Example]] = {ZERO_SHOT: []}
    if ws.config.evaluate.few_shot:
        arms["few-shot"] = shots_of(ws)
    for arm, shots in arms.items():
        start = time.monotonic()
        model = base_model(ws, shots)
        stage = f"round 0: {label_of(model)}"
        assessed = evaluate_on(ws, model, "dev", stage=stage, shots=shots)
        out[arm] = assessed
        record_round(ws, 0, arm, assessed, trained=0, seconds=time.monotonic() - start)
    return out


def evaluate_on(
    ws: Workspace,
    model: Model,
    split: Split,
    *,
    stage: str,
    shots: Sequence[Example] = (),
    draft: Model | None = None,
) -> Assessed:
    """Answers of a model on a split, graded and diagnosed."""
    examples = ws.split(split)
    responses = respond(ws, model, examples, shots=shots, stage=stage, draft=draft)
    return assess(ws, model, examples, responses)


# --- rounds -------------------------------------------------------------------------------


def rounds(ws: Workspace, reference: Assessed) -> list[Assessed]:
    """Fine-tuning rounds until every issue is resolved or the budget is spent."""
    finding_half, measuring_half = diagnose.halves(ws.split("dev"), ws.config.project.seed)
    known: dict[str, Known] = {}
    add_issues(ws, known, reference, finding_half, 0)
    expectations(ws, known, measuring_half)

    train: list[Example] = ws.split("train")
    extra: list[Example] = []
    control_extra: list[Example] = []
    mains: list[Assessed] = []
    verdicts: list[Verdict] = []
    for number in range(1, ws.config.rounds.max + 1):
        previous = mains[-1] if mains else reference
        current = one_arm(ws, number, "main", [*train, *extra], previous)
        mains.append(current)
        fresh = add_issues(ws, known, current, finding_half, number)
        verdicts += judge(ws, known, fresh, previous, current, measuring_half, number, verdicts)
        if control_extra:
            control = one_arm(ws, number, "control", [*train, *control_extra], previous)
            compare_arms(ws, known, current, control, measuring_half, number)
        still_open = [issue for issue, _ in known.values() if is_open(issue, verdicts)]
        reason = ""
        if not still_open:
            reason = "every issue is resolved"
        elif number == ws.config.rounds.max:
            reason = "the budget of rounds is spent"
        else:
            rows = targeted_rows(
                ws,
                by_need(still_open, verdicts),
                current,
                finding_half,
                extra,
                control_extra,
                number + 1,
            )
            extra = [*extra, *accepted(rows, "main")]
            control_extra = [*control_extra, *accepted(rows, "control")]
            if not accepted(rows, "main"):
                reason = "the pool has no more rows for the open issues"
        if reason:
            staged(ws, f"stop {number}", lambda why=reason: why)  # type: ignore[misc]
            break
    return mains


def one_arm(
    ws: Workspace, number: int, arm: str, rows: Sequence[Example], previous: Assessed
) -> Assessed:
    """Train the base on these rows, then answer dev (the previous answers serve as drafts)."""
    start = time.monotonic()
    parent = previous.model.dataset
    model = fit(ws, rows, round_=number, arm=arm, parent=parent, note=f"round {number}, {arm}")
    stage = f"round {number}: dev" + (" control" if arm == "control" else "")
    assessed = evaluate_on(ws, model, "dev", stage=stage, draft=previous.model)
    record_round(ws, number, arm, assessed, trained=len(rows), seconds=time.monotonic() - start)
    return assessed


def add_issues(
    ws: Workspace, known: dict[str, Known], found_in: Assessed, half: set[str], number: int
) -> list[str]:
    """Issues that the finding half shows in these answers and that were not known; their ids."""
    issues = diagnose.find_issues(
        found_in.examples,
        found_in.findings,
        found_in.responses,
        half=half,
        model=found_in.model.id,
        round=number,
        config=ws.config.diagnose,
        known=[issue for issue, _ in known.values()],
    )
    fresh = [issue for issue in issues if issue.id not in known]
    ws.store.add_issues(ws.run_id, fresh)
    known.update({issue.id: (issue, found_in) for issue in fresh})
    return staged(ws, f"issues {number}", lambda: [issue.id for issue in fresh])


def judge(
    ws: Workspace,
    known: Mapping[str, Known],
    fresh: Sequence[str],
    previous: Assessed,
    current: Assessed,
    half: set[str],
    number: int,
    earlier: Sequence[Verdict],
) -> list[Verdict]:
    """A verdict for every known issue: its reference model against the current one.

    An issue found just now has no reference yet; it is looked for in the previous answers,
    which tells *new* from *newly detected*.
    """
    comparisons = []
    for issue, found_in in known.values():
        then = previous if issue.id in fresh else found_in
        comparisons.append(
            diagnose.Comparison(
                issue=issue,
                before_model=then.model.id,
                after_model=current.model.id,
                before=outcomes_of(issue, then),
                after=outcomes_of(issue, current),
            )
        )
    verdicts = diagnose.judge_round(
        comparisons,
        half=half,
        groups=groups_of(current.examples),
        round=number,
        config=ws.config.diagnose,
        previous=earlier,
    )
    ws.store.add_verdicts(ws.run_id, verdicts)
    return verdicts


def outcomes_of(issue: Issue, assessed: Assessed) -> dict[str, bool | None]:
    """Which items fail the issue's definition in these answers (None: unscored)."""
    return diagnose.outcomes(issue, assessed.examples, assessed.responses, assessed.findings)


def groups_of(examples: Sequence[Example]) -> dict[str, str]:
    """Group of each example; a lone example is its own group."""
    return {e.id: e.group or e.id for e in examples}


def is_open(issue: Issue, verdicts: Sequence[Verdict]) -> bool:
    """Whether the issue still asks for data, by its latest verdict."""
    latest = [v.status for v in verdicts if v.issue == issue.id]
    return not latest or latest[-1] in diagnose.OPEN


def paired(
    before: Mapping[str, bool | None], after: Mapping[str, bool | None], groups: Mapping[str, str]
) -> dict[str, Any]:
    """One paired comparison as figures."""
    compared = diagnose.compare_paired(before, after, groups=groups)
    counts = compared.counts
    return {
        "n": counts.n,
        "unscored": counts.unscored,
        "before_rate": counts.before_rate,
        "after_rate": counts.after_rate,
        "fixed": counts.fixed,
        "broken": counts.broken,
        "delta": counts.delta,
        "low": compared.low,
        "high": compared.high,
        "p_value": compared.p_value,
        "e_value": counts.e_value,
    }


# --- targeting ----------------------------------------------------------------------------

_NEED = ("regressed", "persisting", "new", "newly detected", "inconclusive", "improved")


def by_need(issues: Sequence[Issue], verdicts: Sequence[Verdict]) -> list[Issue]:
    """Which issue is given rows first, while there are any.

    What does not move comes before what falls already. Among equals a slice comes before the
    whole task, since rows of the slice teach what is missing and rows like any failure do not;
    then the order in which they were found.
    """
    latest = {v.issue: v.status for v in verdicts}

    def need(issue: Issue) -> tuple[int, bool]:
        status = latest.get(issue.id, "new")
        return _NEED.index(status) if status in _NEED else len(_NEED), issue.slice.by == "all"

    return sorted(issues, key=need)


def targeted_rows(
    ws: Workspace,
    issues: Sequence[Issue],
    current: Assessed,
    half: set[str],
    used: Sequence[Example],
    control_used: Sequence[Example],
    number: int,
) -> list[Proposal]:
    """Rows for the next round: for each open issue from the pool, and as many at random."""
    stored = ws.store.stage(ws.run_id, f"target {number}")
    if stored is not None:
        return ws.store.proposals(ws.run_id, number)
    ws.progress(ProgressEvent(f"round {number}: targeted rows", 0, len(issues), "issues"))
    settings, seed = ws.config.target, ws.config.project.seed
    pool = ws.split("pool")
    taken = {e.id for e in used}
    proposals: list[Proposal] = []
    examples = by_id(current.examples)
    for place, issue in enumerate(issues, start=1):
        failed = outcomes_of(issue, current)
        failing = [examples[key] for key, bad in failed.items() if bad and key in half]
        count = min(settings.rows_per_issue, settings.max_rows - len(proposals))
        if failing and count > 0:
            found = target.propose(
                issue, failing, pool, count=count, embedder=ws.embedder, exclude=taken, seed=seed
            )
            taken |= {p.example.id for p in found}
            proposals += found
        ws.progress(ProgressEvent(f"round {number}: targeted rows", place, len(issues), "issues"))
    proposals = screened(ws, proposals)
    if settings.control:
        kept = [p for p in proposals if p.accepted]
        exclude = {e.id for e in control_used}
        drawn = target.control(kept, pool, exclude=exclude, seed=seed + number)
        proposals += screened(ws, drawn)
    ws.store.add_proposals(ws.run_id, number, proposals)
    ws.store.finish_stage(ws.run_id, f"target {number}", 0.0, {"rows": len(proposals)})
    return ws.store.proposals(ws.run_id, number)


def screened(ws: Workspace, proposals: Sequence[Proposal]) -> list[Proposal]:
    """Proposals after the firewall: what comes near dev or test is turned down, with the reason."""
    protected = [*ws.split("dev"), *ws.split("test")]
    background = [*ws.split("train"), *ws.split("pool")]
    rows = [p.example for p in proposals]
    result = target.firewall(rows, protected, ws.embedder, background=background)
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


def compare_arms(
    ws: Workspace,
    known: Mapping[str, Known],
    main: Assessed,
    control: Assessed,
    half: set[str],
    number: int,
) -> None:
    """Random rows (before) against targeted rows (after), issue by issue, on the measuring half."""

    def make() -> list[dict[str, Any]]:
        groups = groups_of(main.examples)
        rows = []
        for issue, _ in known.values():
            theirs, ours = (
                {key: bad for key, bad in outcomes_of(issue, side).items() if key in half}
                for side in (control, main)
            )
            rows.append({"issue": issue.id, **paired(theirs, ours, groups)})
        return rows

    staged(ws, f"arms {number}", make)


# --- the record ---------------------------------------------------------------------------


def record_round(
    ws: Workspace, number: int, arm: str, assessed: Assessed, *, trained: int, seconds: float
) -> None:
    """The round's figures; the first writing counts, so a resumed call keeps the first minutes."""
    model = assessed.model
    ws.store.add_round(
        ws.run_id,
        Round(number, arm, model.dataset, model.id, trained, seconds),
        {"label": label_of(model), "scores": assessed.scores.to_dict()},
    )


def record_data(ws: Workspace) -> None:
    """What was read, removed and split, for status and report."""
    counts = {split: len(ws.split(split)) for split in ("train", "dev", "test", "pool")}
    staged(
        ws,
        "data",
        lambda: {
            "rows": counts,
            "notes": [str(note) for note in ws.corpus.notes],
            "rejects": len(ws.corpus.rejects),
            "base": {"name": ws.base.name, "identity": ws.base.identity, "note": ws.base.note},
            "settings": ws.config.model_dump(mode="json"),
            "shown": trained_rows(ws),
        },
    )


def expectations(ws: Workspace, known: Mapping[str, Known], half: set[str]) -> None:
    """Before training: the smallest fall that each issue's items can show."""

    groups = groups_of(ws.split("dev"))

    def make() -> list[dict[str, Any]]:
        rows = []
        for issue, then in known.values():
            failed = outcomes_of(issue, then)
            scored = [bad for key, bad in failed.items() if key in half and bad is not None]
            mde = diagnose.stated_mde(
                issue,
                failed,
                half=half,
                groups=groups,
                issues=len(known),
                round=1,
                config=ws.config.diagnose,
            )
            rate = sum(scored) / len(scored) if scored else 0.0
            rows.append({"issue": issue.id, "n": len(scored), "rate": rate, "mde": mde})
        return rows

    staged(ws, "expectations", make)


# --- the sealed test ----------------------------------------------------------------------


def sealed_test(
    ws: Workspace, baselines: Sequence[Assessed], reference: Model, final: Model
) -> None:
    """Base against final on the sealed split, once."""
    key = f"test {final.id}"
    if ws.store.stage(ws.run_id, key) is not None:
        return
    ws.store.add_record("test opened", ws.run_id, {"final": final.id, "base": reference.id})
    start = time.monotonic()
    after = evaluate_on(ws, final, "test", stage=f"sealed test: {label_of(final)}")
    sides = {}
    for baseline in baselines:
        shots = [] if baseline.model.prompting == ZERO_SHOT else shots_of(ws)
        stage = f"sealed test: {label_of(baseline.model)}"
        sides[baseline.model.id] = evaluate_on(ws, baseline.model, "test", stage=stage, shots=shots)
    issues = ws.store.issues(ws.run_id)
    before = sides[reference.id]
    verdicts = diagnose.confirm(
        [
            diagnose.Comparison(
                issue, reference.id, final.id, outcomes_of(issue, before), outcomes_of(issue, after)
            )
            for issue in issues
        ],
        groups=groups_of(after.examples),
        config=ws.config.diagnose,
        round=final.round,
    )
    ws.store.add_verdicts(ws.run_id, verdicts)
    ws.store.finish_stage(
        ws.run_id,
        key,
        time.monotonic() - start,
        {
            "final": final.id,
            "reference": reference.id,
            "score_change": score_change(
                item_scores(before.scores, before.responses),
                item_scores(after.scores, after.responses),
                groups_of(after.examples),
            ),
            "sides": {
                assessed.model.id: {
                    "label": label_of(assessed.model),
                    "scores": assessed.scores.to_dict(),
                    "against_final": overall_change(assessed, after),
                }
                for assessed in [*sides.values(), after]
            },
        },
    )


def overall_change(before: Assessed, after: Assessed) -> dict[str, Any]:
    """The rate of each kind of failure, before against after, paired and clustered by group."""
    groups = groups_of(after.examples)
    kinds = sorted({f.kind for f in [*before.findings, *after.findings]})
    rows = {k: paired(kind_outcomes(k, before), kind_outcomes(k, after), groups) for k in kinds}
    return {kind: row for kind, row in rows.items() if row["n"]}


def kind_outcomes(kind: str, assessed: Assessed) -> dict[str, bool | None]:
    """For each item whether any of its answers fails this kind (None: nothing scored)."""
    example_of = {r.id: r.example for r in assessed.responses}
    out: dict[str, bool | None] = {e.id: None for e in assessed.examples}
    for finding in assessed.findings:
        if finding.kind == kind and finding.status != "unscored":
            key = example_of[finding.response]
            out[key] = bool(out[key]) or finding.status == "fail"
    return out


def _check_splits(ws: Workspace) -> None:
    from residency.errors import DataError

    for split, need in (("train", 1), ("dev", 2), ("test", 1)):
        if len(ws.split(split)) < need:  # type: ignore[arg-type]
            raise DataError(
                f"the {split} split has {len(ws.split(split))} rows",  # type: ignore[arg-type]
                where="residency.toml [data]",
                next_step=f"name a file in data.{split}, or more rows in data.train to split from",
            )
