"""Findings → issues: which kinds of failure recur, and in which slice of the task.

Only the finding half is looked at. The candidates are every kind in every slice (all items,
each tag, each cluster); the common and the catastrophic come first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from residency.config.diagnose import DiagnoseConfig
from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.issue import Issue, Slice
from residency.nouns.response import Response
from residency.stats.sample_reducer import Outcomes, Reduce, item_outcomes

MAX_EVIDENCE = 50
_NOTABLE = 0.1
_CHANCE = 0.05
_COVERS = 0.95


@dataclass(frozen=True)
class Candidate:
    """A kind within a slice, on the finding half.

    ``n`` scored items, ``failing`` of them fail with mean ``severity``, in ``groups`` different
    groups; ``failures`` are the positions of the failing ones, ``items`` those of all scored.
    """

    kind: str
    detector: str
    version: str
    slice: Slice
    n: int
    failing: int
    groups: int
    severity: float
    failures: tuple[int, ...]
    items: tuple[int, ...]

    @property
    def rate(self) -> float:
        """Failure rate in the slice."""
        return self.failing / self.n if self.n else 0.0

    @property
    def weight(self) -> float:
        """Prevalence × severity, up to the constant number of items: what is mended first."""
        return self.failing * self.severity


def find_issues(
    examples: Sequence[Example],
    findings: Iterable[Finding],
    responses: Iterable[Response],
    *,
    half: set[str],
    model: str,
    round: int,
    config: DiagnoseConfig,
    known: Sequence[Issue] = (),
    clusters: Sequence[Slice] = (),
    how: Reduce = "majority",
) -> list[Issue]:
    """New issues in one model's responses: those of its ``config.max_issues`` worst not yet known.

    Args:
        half: ids of the finding half; other items are not looked at.
        model: id of the model whose responses are judged; it becomes ``reference_model``.
        known: issues that exist already; they are not returned again.
        clusters: slices by cluster, beside ``all`` and the tags.
        how: how several samples of an item become one outcome.
    """
    pool = [example for example in examples if example.id in half]
    position = {example.id: i for i, example in enumerate(pool)}
    tables = _tables(findings, responses, model, position, how)
    return issues_of(
        pool, tables, model=model, round=round, config=config, known=known, clusters=clusters
    )


def issues_of(
    pool: Sequence[Example],
    tables: Mapping[tuple[str, str], Table],
    *,
    model: str,
    round: int,
    config: DiagnoseConfig,
    known: Sequence[Issue] = (),
    clusters: Sequence[Slice] = (),
) -> list[Issue]:
    """``find_issues`` on answers already gathered into tables, by (kind, detector).

    ``pool`` are the examples of the finding half, in the order of the tables' positions.
    """
    members = _memberships(pool, clusters)
    numbers: dict[str, int] = {}
    groups = np.array([numbers.setdefault(e.group or e.id, len(numbers)) for e in pool], int)
    candidates: list[Candidate] = []
    for (kind, detector), table in sorted(tables.items()):
        candidates += _candidates(kind, detector, table, members, groups)
    old = {issue.id for issue in known}
    issues: list[Issue] = []
    for candidate in select_candidates(candidates, config)[: config.max_issues]:
        severity = tables[candidate.kind, candidate.detector].severity
        failures = np.array(candidate.failures)
        worst = failures[np.argsort(-severity[failures], kind="stable")][:MAX_EVIDENCE]
        issue = Issue(
            kind=candidate.kind,
            slice=candidate.slice,
            detector=candidate.detector,
            version=candidate.version,
            tolerance=config.tolerance,
            found_round=round,
            reference_model=model,
            title=title_issue(candidate.kind, candidate.slice),
            examples=tuple(pool[i].id for i in worst.tolist()),
        )
        if issue.id not in old:
            issues.append(issue)
    return issues


def overall_issues(
    findings: Iterable[Finding],
    *,
    model: str,
    config: DiagnoseConfig,
    round: int = 0,
    known: Sequence[Issue] = (),
) -> list[Issue]:
    """Every kind over all items as an issue, for the sealed test: was the whole kind reduced?

    Nothing selects these: each kind that any detector reports is in, common or not, except
    those that are ``known`` already.
    """
    old = {issue.id for issue in known}
    versions = {(f.kind, f.detector): f.version for f in findings}
    issues = [
        Issue(kind, Slice(), detector, version, config.tolerance, round, model, title=kind)
        for (kind, detector), version in sorted(versions.items())
    ]
    return [issue for issue in issues if issue.id not in old]


def select_candidates(candidates: Sequence[Candidate], config: DiagnoseConfig) -> list[Candidate]:
    """The candidates that become issues, worst first.

    A candidate needs ``min_rate``, and failures in ``min_items`` groups. Of a kind that is an issue
    over all items, only slices that say more are kept (``telling``). Of two slices whose failing
    items are nearly the same (Jaccard ≥ 0.8) the worse stays; so does one of two detectors that
    report the same kind on the same items.
    """
    good = [c for c in candidates if c.rate >= config.min_rate and c.groups >= config.min_items]
    good.sort(key=lambda c: (-c.weight, c.slice.by != "all", c.kind, c.slice.value, c.detector))
    slices: dict[tuple[str, str], list[Candidate]] = {}
    for c in good:
        if c.slice.by != "all":
            slices.setdefault((c.kind, c.detector), []).append(c)
    looked_at = Counter((c.kind, c.detector) for c in candidates if c.slice.by != "all")
    parents = {(c.kind, c.detector): c for c in good if c.slice.by == "all"}
    told = [
        c
        for key, parent in parents.items()
        for c in choose_telling_slices(
            parent, slices.get(key, []), _CHANCE / max(1, looked_at[key])
        )
    ]
    kept: list[Candidate] = []
    for c in good:
        if c.slice.by != "all" and (c.kind, c.detector) in parents and c not in told:
            continue
        if any(_same_failures(c, other) for other in kept):
            continue
        kept.append(c)
    return kept


def choose_telling_slices(
    parent: Candidate, slices: Sequence[Candidate], chance: float
) -> list[Candidate]:
    """The slices that say where a kind fails, the most surprising first.

    A slice is kept when, on the items that no slice before it holds, it fails ten points more
    often than all of them, beyond ``chance`` (hypergeometric tail). So a tag that only goes
    along with a telling one is not kept beside it (sequential covering, as in subgroup discovery).
    """
    left, failing = set(parent.items), set(parent.failures)
    out: list[Candidate] = []
    rest = list(slices)
    while rest and left:
        ranked = [(_tail(c, left, failing), i) for i, c in enumerate(rest)]
        tail, at = min(ranked)
        best = rest.pop(at)
        inside = left & set(best.items)
        rate = len(inside & failing) / max(1, len(inside))
        if tail > chance:
            break
        if rate - len(left & failing) / len(left) < _NOTABLE:
            continue
        out.append(best)
        left -= inside
    return out


def _tail(c: Candidate, left: set[int], failing: set[int]) -> float:
    """Chance of as many failures in as many items drawn blindly from those left."""
    inside = left & set(c.items)
    bad = len(inside & failing)
    return float(stats.hypergeom.sf(bad - 1, len(left), len(left & failing), len(inside)))


def title_issue(kind: str, where: Slice) -> str:
    """How people read an issue."""
    if where.by == "all":
        return kind
    return f"{kind} where {where.name}" if where.by == "tag" else f"{kind} in “{where.name}”"


def find_outcomes(
    issue: Issue,
    examples: Sequence[Example],
    responses: Iterable[Response],
    findings: Iterable[Finding],
    how: Reduce = "majority",
) -> Outcomes:
    """Whether each example of the issue's slice fails it, for one model's responses.

    Several samples of an example become one outcome by ``how``. An example without a scored
    finding is unscored (None). The findings may come from a later version of the detector: the
    issue's definition is re-run, not its history.
    """
    mine = [f for f in findings if (f.kind, f.detector) == (issue.kind, issue.detector)]
    failed = item_outcomes(mine, responses, how).get((issue.kind, issue.detector), {})
    return {e.id: failed.get(e.id) for e in examples if issue.slice.contains(e)}


@dataclass(frozen=True)
class Table:
    """One kind's answers, by position in the finding half: 1 failed, 0 passed, -1 unscored."""

    failed: np.ndarray
    severity: np.ndarray
    version: str


def _tables(
    findings: Iterable[Finding],
    responses: Iterable[Response],
    model: str,
    position: Mapping[str, int],
    how: Reduce,
) -> dict[tuple[str, str], Table]:
    mine = [r for r in responses if r.model == model and r.example in position]
    owner = {r.id: position[r.example] for r in mine}
    scored = [f for f in findings if f.response in owner and f.status != "unscored"]
    severity: dict[tuple[str, str], np.ndarray] = {}
    versions: dict[tuple[str, str], str] = {}
    for finding in scored:
        key = finding.kind, finding.detector
        versions[key] = finding.version
        row = severity.setdefault(key, np.zeros(len(position)))
        if finding.status == "fail":
            item = owner[finding.response]
            row[item] = max(row[item], finding.severity)
    tables = {}
    for key, outcomes_of_items in item_outcomes(scored, mine, how).items():
        failed = np.full(len(position), -1, np.int8)
        for example, bad in outcomes_of_items.items():
            failed[position[example]] = bool(bad)
        tables[key] = Table(failed, severity[key], versions[key])
    return tables


def _memberships(
    pool: Sequence[Example], clusters: Sequence[Slice]
) -> list[tuple[Slice, np.ndarray]]:
    everything = np.ones(len(pool), bool)
    out = [(Slice(), everything)]
    by_tag: dict[str, list[int]] = {}
    for i, example in enumerate(pool):
        for tag in example.tags:
            by_tag.setdefault(tag, []).append(i)
    named: list[tuple[Slice, Callable[[], list[int]]]] = [
        (Slice("tag", tag), lambda tag=tag: by_tag[tag])  # type: ignore[misc]
        for tag in sorted(by_tag)
    ]
    for cluster in clusters:
        inside = set(cluster.members)
        named.append(
            (cluster, lambda inside=inside: [i for i, e in enumerate(pool) if e.id in inside])  # type: ignore[misc]
        )
    for where, places in named:
        mask = np.zeros(len(pool), bool)
        mask[places()] = True
        if mask.any() and mask.mean() < _COVERS:
            out.append((where, mask))
    return out


def _candidates(
    kind: str,
    detector: str,
    table: Table,
    members: Sequence[tuple[Slice, np.ndarray]],
    groups: np.ndarray,
) -> list[Candidate]:
    scored, failed = table.failed >= 0, table.failed == 1
    out = []
    for where, mask in members:
        failures = np.flatnonzero(failed & mask)
        severity = float(table.severity[failures].mean()) if len(failures) else 0.0
        out.append(
            Candidate(
                kind=kind,
                detector=detector,
                version=table.version,
                slice=where,
                n=int((scored & mask).sum()),
                failing=len(failures),
                groups=len(set(groups[failures].tolist())),
                severity=severity,
                failures=tuple(failures.tolist()),
                items=tuple(np.flatnonzero(scored & mask).tolist()),
            )
        )
    return out


def _same_failures(c: Candidate, other: Candidate) -> bool:
    if c.kind != other.kind or (c.slice.by == "all") != (other.slice.by == "all"):
        return False
    a, b = set(c.failures), set(other.failures)
    return len(a & b) >= 0.8 * len(a | b)
