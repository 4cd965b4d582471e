"""A run as a value: what ``run`` and ``status`` give to Python and print as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field

from residency.nouns.issue import Issue
from residency.nouns.round import Round
from residency.nouns.verdict import Verdict
from residency.results.alpha_share import AlphaShare
from residency.results.arm_figures import ArmsPlan, ArmsTested, Falls, NoiseFloor
from residency.results.change_figures import ArmsTogether, Expectation, IssueArms
from residency.results.conclusion import write_conclusion
from residency.results.notebook import describe_summary, draw_summary
from residency.results.run_figures import Forgetting, RunData
from residency.results.run_results import RunResults
from residency.results.score_figures import ScoresFigures
from residency.results.sealed_figures import SealedTest
from residency.stats.labelled_rate import LabelledRate
from residency.store.stage_key import StageKey, StageName
from residency.store.store import Store


@dataclass(frozen=True)
class RoundRow:
    """One line of the table of rounds."""

    round: Round
    label: str
    scores: ScoresFigures


@dataclass(frozen=True)
class IssueRow:
    """One line of the table of issues.

    ``verdicts`` are those on dev, by round; ``confirmed`` is the one on the sealed test.
    ``expected`` holds the items and the smallest fall that they can show, told before training;
    ``latest`` the verdict that speaks of the final model, ``noise`` how far two trainings differ,
    ``labelled`` the final model's rate corrected by people's labels.
    """

    issue: Issue
    verdicts: list[Verdict]
    confirmed: Verdict | None
    expected: Expectation | None
    title: str = ""
    status: str = "open"
    latest: Verdict | None = None
    noise: NoiseFloor | None = None
    labelled: LabelledRate | None = None


@dataclass(frozen=True, repr=False)
class RunSummary:
    """Rounds, issues, arms and the sealed test of one run, and what they say.

    Attributes:
        stopped: why the rounds ended; empty while they go on.
        arms: targeted against random rows by round, issue by issue; together: as one question.
        forgetting: base against final on the benchmarks of ``rounds.guard``.
        stages: finished steps: key, seconds, when.
        conclusion: the same sentences that report and pages show.
        final: the model that statuses of issues speak of, where the sealed test has chosen it.
        arms_plan, arms_tested: trainings of each arm, and what they show on the sealed test.
        falls: dev against the sealed test, by issue. alpha_share: this run's part of α.
    """

    run: str
    complete: bool
    stopped: str
    data: RunData
    rounds: list[RoundRow]
    issues: list[IssueRow]
    arms: dict[int, list[IssueArms]]
    test: SealedTest | None
    test_openings: int
    forgetting: Forgetting | None = None
    stages: list[tuple[str, float, str]] = field(default_factory=list)
    together: dict[int, ArmsTogether] = field(default_factory=dict)
    conclusion: list[str] = field(default_factory=list)
    final: str = ""
    arms_plan: ArmsPlan | None = None
    arms_tested: ArmsTested | None = None
    falls: dict[str, Falls] = field(default_factory=dict)
    alpha_share: AlphaShare | None = None

    @property
    def seconds(self) -> float:
        """Wall time of every finished round, of the sealed test and of the guard's benchmarks."""
        timed = (StageName.TEST, StageName.FORGETTING)
        rest = sum(seconds for key, seconds, _ in self.stages if StageKey.parse(key).name in timed)
        return sum(row.round.seconds for row in self.rounds) + rest

    def __repr__(self) -> str:
        return describe_summary(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return draw_summary(self)


def summarise_run(store: Store, run: str = "") -> RunSummary:
    """The summary of one run, or of the one that was worked on last.

    Raises:
        StoreError: nothing was run yet.
    """
    return summarise_results(RunResults(store, run))


def summarise_results(results: RunResults) -> RunSummary:
    """The summary of a run whose results are open already."""
    return RunSummary(
        run=results.run,
        complete=results.complete,
        stopped=results.stopped,
        data=results.data,
        rounds=[RoundRow(m.round, m.label, m.scores) for m in results.models],
        issues=[
            IssueRow(
                r.issue,
                r.verdicts,
                r.confirmed,
                r.expected,
                r.title,
                r.status,
                r.latest,
                r.noise,
                r.labelled,
            )
            for r in results.issues
        ],
        arms=results.arms,
        test=results.test,
        test_openings=results.test_openings,
        forgetting=results.forgetting,
        stages=[(str(s.key), s.seconds, s.finished_at) for s in results.stages],
        together=results.arms_together,
        conclusion=write_conclusion(results),
        final=results.label(results.final_id) if results.test else "",
        arms_plan=results.arms_plan,
        arms_tested=results.arms_tested,
        falls=results.falls,
        alpha_share=results.alpha_share,
    )
