"""Candidates for issues: every kind in every slice, counted on the finding half."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.issue import Slice
from residency.nouns.response import Response
from residency.stats.sample_reducer import Reduce, item_outcomes

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


@dataclass(frozen=True)
class Table:
    """One kind's answers, by position in the finding half: 1 failed, 0 passed, -1 unscored."""

    failed: np.ndarray
    severity: np.ndarray
    version: str


def tabulate_outcomes(
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


def list_slices(pool: Sequence[Example], slices: Sequence[Slice]) -> list[tuple[Slice, np.ndarray]]:
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
    for cluster in slices:
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


def count_candidates(
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
