"""One part of dev finds and the other measures, or each part finds what the other measures?

    python benchmarks/cross_fitting.py [--projects 200] [--items 120 300]

Made-up projects (`residency.diagnose.simulated_project`), judged by the product's own functions after one
round. *40/60* is what the product does. *Cross-fitting*: halves, each finds issues that the other measures
at half of α, so that both together keep the level; an issue found in both is claimed by either.
The model is trained on rows drawn near the failures that found issues: *adapted* is the share by which that
mends those very items, beyond the kind of items that they stand for. With 40/60 they never measure.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.decisions import CLAIMS, Comparison, decide_statuses
from residency.diagnose.dev_halves import split_halves
from residency.diagnose.error_budget import round_alpha
from residency.diagnose.simulated_project import KINDS, SimulatedModel, SimulatedProject, World
from residency.nouns.issue import Issue

CONFIG = DiagnoseConfig()
Issues = list[Issue]


@dataclass(frozen=True)
class Claimed:
    """Issues found in a project, and which of the claims about them are true or false."""

    found: int
    true: int
    false: int


def judge_project(
    rng: np.random.Generator, items: int, *, crossed: bool, drift: float, adapted: float
) -> Claimed:
    """One project, its issues found and judged after one round."""
    project = SimulatedProject(World(items=items), rng)
    base = project.answer(rng, fixed=True)
    share = 0.5 if crossed else CONFIG.finding_share
    first, second = split_halves(project.examples, int(rng.integers(2**31)), share=share)
    pairs = [(first, second), (second, first)] if crossed else [(first, second)]
    issues = [
        project.find(base, finds, name="0", round=0, config=CONFIG) if finds else []
        for finds, _ in pairs
    ]
    for (finds, _), own in zip(pairs, issues, strict=True):
        adapt_to_failures(project, base, finds, own, adapted)
    after = project.answer(rng, effects=np.full(len(KINDS), -drift), fixed=True)
    alpha = round_alpha(CONFIG.alpha, 1, 1) / len(pairs)
    claims: dict[str, bool] = {}
    for (_, measures), own in zip(pairs, issues, strict=True):
        decisions = decide_statuses(
            [
                Comparison(i, "0", "1", project.outcomes(i, base), project.outcomes(i, after))
                for i in own
            ],
            half=measures,
            groups=project.groups,
            alpha=alpha,
        )
        for issue, decision in zip(own, decisions, strict=True):
            if decision.status in CLAIMS:
                was, now = project.true_rate(issue, base), project.true_rate(issue, after)
                holds = now > was if decision.status == "regressed" else now < was
                claims[issue.id] = claims.get(issue.id, True) and holds
    found = {issue.id for own in issues for issue in own}
    return Claimed(len(found), sum(claims.values()), len(claims) - sum(claims.values()))


def adapt_to_failures(
    project: SimulatedProject,
    base: SimulatedModel,
    finds: set[str],
    issues: Issues,
    adapted: float,
) -> None:
    """Rows near the failures that found issues mend these items more than their kind."""
    for issue in issues:
        kind = KINDS.index(issue.kind)
        places = [
            i
            for i in project.members(issue).tolist()
            if project.ids[i] in finds and base.outcomes[kind, i] == 1
        ]
        project.chance[kind, places] *= 1 - adapted


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=200)
    parser.add_argument("--items", type=int, nargs="+", default=[120, 300])
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    print("| dev items | truly falls | adapted | parts | issues | true claims | any false claim |")
    print("|---|---|---|---|---|---|---|")
    for items in options.items:
        for drift, adapted in ((0.5, 0.0), (0.0, 0.0), (0.0, 0.3), (0.0, 0.6)):
            for crossed in (False, True):
                rng = np.random.default_rng(options.seed)
                runs = [
                    judge_project(rng, items, crossed=crossed, drift=drift, adapted=adapted)
                    for _ in range(options.projects)
                ]
                print(
                    f"| {items} | {'yes' if drift else 'no'} | {100 * adapted:.0f} % "
                    f"| {'crossed' if crossed else '40/60'} | {np.mean([r.found for r in runs]):.1f} "
                    f"| {np.mean([r.true for r in runs]):.2f} "
                    f"| {100 * (np.mean([r.false > 0 for r in runs])):.1f} % |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
