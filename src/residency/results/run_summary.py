"""A run as people read it, from the store alone: no model and no data file is opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from residency.errors import StoreError
from residency.nouns.issue import Issue
from residency.nouns.round import Round
from residency.nouns.verdict import Verdict
from residency.store.record_kind import RecordKind
from residency.store.stage_key import StageKey
from residency.store.store import Store

FORGETTING = "forgetting"
"""The stage that compares base and final model on general benchmarks."""


@dataclass(frozen=True)
class RoundRow:
    """One line of the table of rounds."""

    round: Round
    label: str
    scores: dict[str, Any]


@dataclass(frozen=True)
class IssueRow:
    """One line of the table of issues.

    ``verdicts`` are those on dev, by round; ``confirmed`` is the one on the sealed test.
    ``expected`` holds the items and the smallest fall that they can show, told before training.
    """

    issue: Issue
    verdicts: list[Verdict]
    confirmed: Verdict | None
    expected: dict[str, Any] | None

    @property
    def status(self) -> str:
        """The latest status on dev; ``open`` before the first verdict."""
        return self.verdicts[-1].status if self.verdicts else "open"


@dataclass(frozen=True)
class RunSummary:
    """Rounds, issues, arms and the sealed test of one run."""

    run: str
    complete: bool
    stopped: str
    data: dict[str, Any]
    rounds: list[RoundRow]
    issues: list[IssueRow]
    arms: dict[int, list[dict[str, Any]]]
    test: dict[str, Any] | None
    test_openings: int
    forgetting: dict[str, Any] | None = None
    """Margin and differences of final and base on the benchmarks of ``rounds.guard``."""
    stages: list[tuple[str, float, str]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Wall time of every finished round, of the sealed test and of the guard's benchmarks."""
        after = ("test ", FORGETTING)
        rest = sum(seconds for key, seconds, _ in self.stages if key.startswith(after))
        return sum(row.round.seconds for row in self.rounds) + rest


def summarise_run(store: Store, run: str) -> RunSummary:
    """The summary of one run."""
    stages = [(str(s.key), s.seconds, s.finished_at) for s in store.stages(run)]
    keys = [key for key, _, _ in stages]

    def result(key: str) -> Any:
        body = store.stage(run, StageKey.parse(key))
        return None if body is None else body.get("result", body)

    expected = {row["issue"]: row for row in result("expectations") or []}
    verdicts = store.verdicts(run)
    order = [key for n in range(len(keys)) for key in result(f"issues {n}") or []]
    issues = sorted(store.issues(run), key=lambda i: order.index(i.id) if i.id in order else 999)
    test_keys = [key for key in keys if key.startswith("test ")]
    stops = [key for key in keys if key.startswith("stop ")]
    return RunSummary(
        run=run,
        complete="complete" in keys,
        stopped=result(stops[-1]) if stops else "",
        data=result("data") or {},
        rounds=[
            RoundRow(round_, figures["label"], figures["scores"])
            for round_, figures in store.rounds(run)
        ],
        issues=[
            IssueRow(
                issue,
                [v for v in verdicts if v.issue == issue.id and v.split == "dev"],
                next((v for v in verdicts if v.issue == issue.id and v.split == "test"), None),
                expected.get(issue.id),
            )
            for issue in issues
        ],
        arms={int(key.split()[1]): result(key) for key in keys if key.startswith("arms ")},
        test=result(test_keys[-1]) if test_keys else None,
        test_openings=len(store.records(RecordKind.TEST_OPENED)),
        forgetting=result(FORGETTING),
        stages=stages,
    )


def status(store: Store) -> RunSummary:
    """The summary of the run that was worked on last.

    Raises:
        StoreError: nothing was run yet.
    """
    run = store.latest_run()
    if run is None:
        raise StoreError("nothing was run here yet", next_step="residency run")
    return summarise_run(store, run)
