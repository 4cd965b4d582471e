"""Simulated projects that prove the verdicts: how often is something claimed that is not so?

Issues are looked for, judged after each round and confirmed on the sealed test by the product's
functions (``issues_of``, ``decide_statuses``); the truth is known (``simulated_project``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.decisions import CLAIMS, Comparison, Decision, decide_statuses
from residency.diagnose.dev_halves import split_halves
from residency.diagnose.error_budget import TEST_SHARE, round_alpha
from residency.diagnose.simulated_project import (
    KINDS,
    SimulatedModel,
    SimulatedProject,
    World,
)
from residency.diagnose.verdicts import stated_mde
from residency.nouns.issue import Issue
from residency.stats.exact_tests import mcnemar_p
from residency.stats.paired_outcomes import pair_outcomes


@dataclass(frozen=True)
class SimulatedRun:
    """What one project claimed.

    ``claims``: statuses that claim something; ``false``: of them those that are not true of the
    models compared; ``naive``: any by the naive test (McNemar at α on the items that chose the
    issue, each round, each issue). ``covered``, ``intervals``: intervals of Δ that hold the truth,
    and all of issues with at least twelve groups.
    """

    issues: int
    claims: int
    false: int
    naive: int
    covered: int
    intervals: int


@dataclass(frozen=True)
class SimulatedFall:
    """One issue of one project, truly lowered by the stated minimum detectable effect.

    ``stated`` is inf where the product says beforehand that the items cannot show it.
    """

    stated: float
    base_rate: float
    items: int
    is_shown: bool


def simulate_run(
    rng: np.random.Generator,
    *,
    world: World = World(),  # noqa: B008 - frozen
    rounds: int = 2,
    drift: float = 0.0,
    config: DiagnoseConfig | None = None,
) -> SimulatedRun:
    """One project through its rounds and the sealed test.

    Args:
        drift: log odds by which every round truly lowers each kind (0: nothing changes but by
            the luck of training).
    """
    config = config or DiagnoseConfig()
    dev, test = SimulatedProject(world, rng), SimulatedProject(world, rng, prefix="test")
    finding, measuring = split_halves(
        dev.examples, int(rng.integers(2**31)), share=config.finding_share
    )
    effects = [np.full(len(KINDS), -drift * number) for number in range(rounds + 1)]
    models = [
        dev.answer(rng, effects=effect, fixed=number == 0) for number, effect in enumerate(effects)
    ]
    known: list[Issue] = []
    claims = false = covered = intervals = 0
    for index, model in enumerate(models):
        if index:
            decisions = _judge_known(dev, known, models, index, measuring, rounds, config)
            for issue, decision in zip(known, decisions, strict=True):
                before = models[issue.found_round]
                claims += decision.status in CLAIMS
                false += not _is_true(dev, issue, decision, before, model)
                held = _holds_truth(dev, issue, decision, before, model)
                covered += bool(held)
                intervals += held is not None
        known += dev.find(model, finding, name=str(index), round=index, config=config, known=known)
    base = test.answer(rng, effects=effects[0], fixed=True)
    final = test.answer(rng, effects=effects[-1])
    sealed = decide_statuses(
        [
            Comparison(i, "0", str(rounds), test.outcomes(i, base), test.outcomes(i, final))
            for i in known
        ],
        half=None,
        groups=test.groups,
        alpha=TEST_SHARE * config.alpha,
    )
    for issue, decision in zip(known, sealed, strict=True):
        claims += decision.status in CLAIMS
        false += not _is_true(test, issue, decision, base, final)
    return SimulatedRun(
        len(known), claims, false, _claim_naively(dev, models, config), covered, intervals
    )


def _judge_known(
    dev: SimulatedProject,
    known: Sequence[Issue],
    models: Sequence[SimulatedModel],
    index: int,
    measuring: set[str],
    rounds: int,
    config: DiagnoseConfig,
) -> list[Decision]:
    return decide_statuses(
        [
            Comparison(
                issue,
                issue.reference_model,
                str(index),
                dev.outcomes(issue, models[issue.found_round]),
                dev.outcomes(issue, models[index]),
            )
            for issue in known
        ],
        half=measuring,
        groups=dev.groups,
        alpha=round_alpha(config.alpha, index, rounds),
        found_now=index,
    )


def _is_true(
    project: SimulatedProject,
    issue: Issue,
    decision: Decision,
    before: SimulatedModel,
    after: SimulatedModel,
) -> bool:
    """Whether the status holds for the two models' true rates; what claims nothing is true."""
    if decision.status not in CLAIMS:
        return True
    was, now = project.true_rate(issue, before), project.true_rate(issue, after)
    if decision.status == "regressed":
        return now > was
    return now < was and (decision.status == "improved" or now <= issue.tolerance)


def _holds_truth(
    project: SimulatedProject,
    issue: Issue,
    decision: Decision,
    before: SimulatedModel,
    after: SimulatedModel,
) -> bool | None:
    """Whether the interval of Δ holds the true difference; None: not looked at."""
    counts = decision.counts
    if counts.groups < 12 or decision.status.startswith("new"):
        return None
    low, high = counts.interval()
    truth = project.true_rate(issue, before) - project.true_rate(issue, after)
    return low <= truth <= high


def _claim_naively(
    project: SimulatedProject, models: Sequence[SimulatedModel], config: DiagnoseConfig
) -> int:
    everything = set(project.ids)
    issues = project.find(models[0], everything, name="0", round=0, config=config)
    claims = 0
    for issue in issues:
        row, places = KINDS.index(issue.kind), project.members(issue)
        before = models[0].outcomes[row, places]
        for model in models[1:]:
            after = model.outcomes[row, places]
            fixed = int(((before == 1) & (after == 0)).sum())
            broken = int(((before == 0) & (after == 1)).sum())
            claims += mcnemar_p(fixed, broken) <= config.alpha
    return claims


def simulate_fall(
    rng: np.random.Generator,
    *,
    world: World = World(),  # noqa: B008 - frozen
    round: int = 1,
    rounds: int = 2,
    config: DiagnoseConfig | None = None,
) -> SimulatedFall | None:
    """One project whose one issue, drawn at random, truly falls by its stated MDE.

    Returns None when the project has no issue.
    """
    config = config or DiagnoseConfig()
    project = SimulatedProject(world, rng)
    finding, measuring = split_halves(
        project.examples, int(rng.integers(2**31)), share=config.finding_share
    )
    base = project.answer(rng, fixed=True)
    issues = project.find(base, finding, name="0", round=0, config=config)
    if not issues:
        return None
    target = issues[int(rng.integers(len(issues)))]
    before = {issue.id: project.outcomes(issue, base) for issue in issues}
    stated = stated_mde(
        target,
        before[target.id],
        half=measuring,
        groups=project.groups,
        issues=len(issues),
        round=round,
        rounds=rounds,
        config=config,
    )
    kind = KINDS.index(target.kind)
    places = project.members(target)
    if not math.isinf(stated):
        share = max(0.0, 1 - stated / max(1e-9, float(project.chance[kind, places].mean())))
        project.chance[kind, places] = np.clip(project.chance[kind, places] * share, 1e-6, 1)
    after = project.answer(rng, fixed=True)
    decisions = decide_statuses(
        [Comparison(i, "0", "1", before[i.id], project.outcomes(i, after)) for i in issues],
        half=measuring,
        groups=project.groups,
        alpha=round_alpha(config.alpha, round, rounds),
    )
    is_shown = decisions[issues.index(target)].status in ("resolved", "improved")
    counts = pair_outcomes(
        before[target.id], before[target.id], groups=project.groups, only=measuring
    )
    return SimulatedFall(stated, counts.before_rate, counts.n, is_shown)
