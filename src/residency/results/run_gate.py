"""A gate on a run: its final model against an earlier one, or against its issues' references.

No model is opened and nothing is generated: stored answers and verdicts are read.
"""

from __future__ import annotations

from dataclasses import replace

from residency.nouns.verdict import Verdict
from residency.results.benchmark_change import (
    name_change_unit,
    write_change,
    write_change_interval,
    write_margin,
)
from residency.results.gate_report import (
    GateLimits,
    GateReason,
    GateReport,
    judge_changes,
    note_unclear,
)
from residency.results.gate_sides import GateIssue, GateSide
from residency.results.issue_results import IssueResult
from residency.results.run_results import RunResults
from residency.stats.delta_interval import FEWEST_GROUPS
from residency.stats.intervals import clopper_pearson
from residency.stats.paired_changes import (
    ChangeStatus,
    PairedChange,
    PairedQuestion,
    compare_changes,
)
from residency.text.counts import write_count
from residency.text.percent import write_percent

SCORE = "share of checks failed"


def compare_sides(before: GateSide, after: GateSide, limits: GateLimits) -> GateReport:
    """An earlier model against the present one, on dev items that measure in both runs."""
    known = {issue.key: issue for issue in (*before.issues, *after.issues)}
    # The later side, where it is resolved no more, does not say that it was.
    known |= {i.key: replace(known[i.key], resolved=True) for i in before.issues if i.resolved}
    measuring = before.measuring & after.measuring
    groups = {**before.groups, **after.groups}
    compared_issues = [
        (issue, _failures(before, issue, measuring), _failures(after, issue, measuring))
        for issue in known.values()
    ]
    comparable = [row for row in compared_issues if any(v is not None for v in row[1].values())]
    questions = [PairedQuestion(issue.title, then, now, groups) for issue, then, now in comparable]
    items = before.measuring  # those that are gone are counted as missing
    questions.append(
        PairedQuestion(
            SCORE,
            {item: before.lost_scores.get(item) for item in items},
            {item: after.lost_scores.get(item) for item in after.measuring & items},
            groups,
        )
    )
    changes = compare_changes(
        questions, alpha=limits.alpha, margin=limits.margin, coverage=limits.coverage
    )
    reasons = judge_changes(changes, limits)
    for (issue, _, _), change in zip(comparable, changes, strict=False):
        reasons += _find_return(issue, change)
    reasons += _find_other_definitions(before, after)
    notes = note_unclear(changes, limits)
    apart = [
        issue.title for issue, then, _ in compared_issues if all(v is None for v in then.values())
    ]
    if apart:
        notes.append(f"the earlier side says nothing of: {', '.join(apart)}")
    added = len(after.measuring - before.measuring)
    if added:
        notes.append(
            f"{write_count(added, 'dev item is', 'dev items are')} new and compared with nothing"
        )
    return GateReport(before.label, after.label, limits, changes, reasons, notes)


def _failures(
    side: GateSide, issue: GateIssue, measuring: frozenset[str]
) -> dict[str, float | None]:
    return {item: bad for item, bad in side.failures(issue).items() if item in measuring}


def _find_return(issue: GateIssue, change: PairedChange) -> list[GateReason]:
    """A resolved issue whose rate is shown to be above its tolerance again."""
    if not issue.resolved or not change.groups:
        return []
    low, _ = clopper_pearson(change.after * change.groups, change.groups, level=0.9)
    if low <= issue.tolerance:
        return []
    what = (
        f"was resolved, and fails {write_percent(change.after)} of {change.n} again: more than {write_percent(low)}, where "
        f"{write_percent(issue.tolerance, 0)} are accepted"
    )
    return [
        GateReason("came back", issue.title, what, "each such sentence is false in at most 5 %")
    ]


def _find_other_definitions(before: GateSide, after: GateSide) -> list[GateReason]:
    """Issues that were judged by another version of their detector or rule."""
    now = {issue.key: issue for issue in after.issues}
    return [
        GateReason(
            "other definition",
            issue.title,
            f"judged by {issue.detector} {issue.version} before and {now[issue.key].version} now",
            "a fact, no estimate",
        )
        for issue in before.issues
        if issue.key in now and now[issue.key].version != issue.version
    ]


def judge_run(results: RunResults, limits: GateLimits) -> GateReport:
    """The run's final model by its verdicts, the sealed test and the guard's benchmarks.

    The chance of any false *regressed* is that of the run (``[diagnose] alpha``): it was spent when
    the verdicts were given.
    """
    alpha = float(results.settings.get("diagnose", {}).get("alpha", limits.alpha))
    limits = replace(limits, alpha=alpha)
    changes: list[PairedChange] = []
    returned: list[GateReason] = []
    notes: list[str] = []
    for issue in results.issues:
        changes += _read_verdicts(issue, limits)
        returned += _find_earlier_resolved(issue)
        if issue.latest is None or issue.latest.status in ("new", "newly detected"):
            notes.append(f"{issue.title}: {issue.status}, compared with nothing yet on dev")
    present, more = judge_present_run(results, limits)
    reasons = [*judge_changes(changes, limits), *returned, *present]
    notes += [*more, *note_unclear(changes, limits)]
    after = f"{results.label(results.final_id) or 'no model'} of run {results.run}"
    return GateReport("each issue's own reference", after, limits, changes, reasons, notes)


def judge_present_run(
    results: RunResults, limits: GateLimits
) -> tuple[list[GateReason], list[str]]:
    """Whether the run came to its end, its sealed test, and what it forgot; reasons and notes."""
    reasons: list[GateReason] = []
    notes: list[str] = []
    if not results.complete:
        sentence = "the run has not come to its end"
        reasons.append(GateReason("not complete", f"run {results.run}", sentence, "a fact"))
    for more_reasons, more_notes in (_judge_sealed(results), _judge_forgetting(results, limits)):
        reasons += more_reasons
        notes += more_notes
    return reasons, notes


def _read_verdicts(result: IssueResult, limits: GateLimits) -> list[PairedChange]:
    rows = [
        (f"{result.title} (dev)", result.latest),
        (f"{result.title} (sealed)", result.confirmed),
    ]
    return [
        _read_verdict(name, verdict, limits)
        for name, verdict in rows
        if verdict is not None and verdict.status not in ("new", "newly detected")
    ]


def _read_verdict(name: str, v: Verdict, limits: GateLimits) -> PairedChange:
    scored = v.n + v.lost
    status: ChangeStatus = "unclear"
    if v.groups < FEWEST_GROUPS or not scored or v.n / scored < limits.coverage:
        status = "too little scored"
    elif v.status == "regressed":
        status = "worse"
    elif v.status in ("resolved", "improved"):
        status = "better"
    elif -v.low <= limits.margin:
        status = "within margin"
    if v.status == "regressed":  # a regression is told, however little was scored
        status = "worse"
    return PairedChange(
        name=name, n=v.n, groups=v.groups, lost=v.lost, gained=v.gained, missing=0,
        before=v.before_rate, after=v.after_rate, rise=-v.delta, low=-v.high, high=-v.low,
        p_value=v.p_value, adjusted_p=min(1.0, v.p_value / v.alpha * limits.alpha) if v.alpha else 1.0,
        status=status,
    )  # fmt: skip


def _find_earlier_resolved(result: IssueResult) -> list[GateReason]:
    latest = result.latest
    earlier = [v.round for v in result.verdicts[:-1] if v.status == "resolved"]
    if latest is None or not earlier or latest.status in ("resolved", "improved"):
        return []
    what = (
        f"was resolved in round {earlier[-1]} and is {latest.status} in round {latest.round}: "
        f"{write_percent(latest.after_rate)} of {latest.n} fail"
    )
    return [
        GateReason(
            "came back", result.title, what,
            "the fall is no longer shown; that it is gone is no claim",
        )
    ]  # fmt: skip


def _judge_sealed(results: RunResults) -> tuple[list[GateReason], list[str]]:
    test = results.test
    if test is None:
        return [], ["the sealed test was not opened in this run"]
    change = test.primary_change or test.score_change
    if change is None or not change.is_worse:
        return [], []
    what = (
        f"the score falls by {100 * abs(change.delta):.1f} points on {write_count(change.n, 'sealed item')} "
        f"[{100 * change.low:+.1f}, {100 * change.high:+.1f}]"
    )
    error = "false in at most 2.5 %, missing answers counted for the model"
    return [GateReason("worse on the sealed test", "score", what, error)], []


def _judge_forgetting(
    results: RunResults, limits: GateLimits
) -> tuple[list[GateReason], list[str]]:
    """Benchmarks of the guard that lost more than is accepted, or could not tell."""
    forgetting = results.forgetting
    if forgetting is None:
        return [], ["no benchmark guards against forgetting in this run ([rounds] guard)"]
    reasons = []
    notes = []
    for row in forgetting.differences:
        figures = (
            f"{write_change(row)} {name_change_unit(row['metric'])} on {write_count(row['n'], 'item')} "
            f"[{write_change_interval(row)}], margin {write_margin(forgetting.margin, [row['metric']])}"
        )
        name = f"{row['task']} {row['metric']}"
        if row["status"] == "forgotten":
            reasons.append(
                GateReason(
                    "forgotten", name, figures, "each benchmark alone: false in at most 2.5 %"
                )
            )
        elif row["status"] == "inconclusive" and limits.strict:
            what = f"a loss beyond the margin is not excluded: {figures}"
            reasons.append(
                GateReason("not shown to be within the margin", name, what, "for want of proof")
            )
        elif row["status"] == "inconclusive":
            notes.append(f"{name}: a loss beyond the margin is not excluded: {figures}")
    return reasons, notes
