"""Simulated projects that prove the verdicts: how often is something claimed that is not so?

A project has dev items with two attributes (seven tags) and five kinds of failure: with
*all* that is 40 candidate slices, of which the worst become issues by the product's own
``issues_of``. Each item fails a kind with its own probability, and every model's answers are
drawn anew from it: between two models outcomes flip by noise alone. After each round all
issues are decided by the product's own ``decide``, issues found later included, and at the
end the sealed test is confirmed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.dev_halves import halves
from residency.diagnose.find_issues import Table, issues_of
from residency.diagnose.verdicts import (
    CLAIMS,
    TEST_SHARE,
    Comparison,
    decide,
    round_alpha,
    stated_mde,
)
from residency.nouns.example import Example, Message
from residency.nouns.issue import Issue
from residency.stats.paired_outcomes import exact_p, pair
from residency.stats.sample_reducer import Outcomes

KINDS = ("misspelling", "overlong", "repetition", "inconsistency", "hallucination")
_FIRST, _SECOND = 3, 4


@dataclass(frozen=True)
class Null:
    """What one project claimed although nothing had changed.

    ``claims``: any false claim by the product, on dev or test. ``naive``: any by the naive
    test (McNemar at α on the items that chose the issue, each round, each issue).
    """

    issues: int
    claims: int
    naive: int


@dataclass(frozen=True)
class Fall:
    """One issue of one project, truly lowered by the stated minimum detectable effect.

    ``stated`` is inf where the product says beforehand that the items cannot show it.
    """

    stated: float
    base_rate: float
    items: int
    found: bool


class Project:
    """Items, their tags, and each item's chance to fail each kind."""

    def __init__(self, items: int, rng: np.random.Generator, *, prefix: str = "dev") -> None:
        first = rng.integers(0, _FIRST, items)
        second = rng.integers(0, _SECOND, items)
        self.examples = [
            Example(
                (Message("user", f"{prefix} {i}"),),
                split="dev",
                tags=(f"a={a}", f"b={b}"),
            )
            for i, (a, b) in enumerate(zip(first.tolist(), second.tolist(), strict=True))
        ]
        self.ids = [example.id for example in self.examples]
        self._members: dict[str, np.ndarray] = {}
        self.chance = np.stack([self._chances(first, second, rng) for _ in KINDS])

    @staticmethod
    def _chances(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Rates differ by kind and slice; ``spread`` sets how much of an item's outcome is luck."""
        rate = rng.uniform(0.03, 0.5)
        slices = rng.uniform(0.5, 1.5, _FIRST)[first] * rng.uniform(0.5, 1.5, _SECOND)[second]
        mean = np.clip(rate * slices, 0.01, 0.95)
        spread = rng.choice([0.5, 2.0, 50.0])
        return np.asarray(rng.beta(mean * spread, (1 - mean) * spread))

    def draw(self, rng: np.random.Generator, chance: np.ndarray | None = None) -> np.ndarray:
        """One model's outcomes, True = failed, shape (kinds, items)."""
        source = self.chance if chance is None else chance
        return rng.random(source.shape) < source

    def members(self, issue: Issue) -> np.ndarray:
        """Positions of the issue's slice."""
        if issue.slice.name not in self._members:
            inside = [i for i, e in enumerate(self.examples) if issue.slice.contains(e)]
            self._members[issue.slice.name] = np.array(inside)
        return self._members[issue.slice.name]

    def outcomes(self, issue: Issue, failed: np.ndarray) -> Outcomes:
        """What ``issues.outcomes`` gives for one model."""
        row = failed[KINDS.index(issue.kind)]
        places = self.members(issue)
        return dict(zip((self.ids[i] for i in places.tolist()), row[places].tolist(), strict=True))

    def find(
        self,
        failed: np.ndarray,
        half: set[str],
        *,
        model: str,
        round: int,
        config: DiagnoseConfig,
        known: Sequence[Issue] = (),
    ) -> list[Issue]:
        """Issues among the items of ``half``."""
        places = [i for i, key in enumerate(self.ids) if key in half]
        pool = [self.examples[i] for i in places]
        tables = {
            (kind, kind): Table(
                failed[k, places].astype(np.int8), np.where(failed[k, places], 0.5, 0.0), "1"
            )
            for k, kind in enumerate(KINDS)
        }
        return issues_of(pool, tables, model=model, round=round, config=config, known=known)


def simulate_null(
    rng: np.random.Generator,
    *,
    items: int = 300,
    rounds: int = 4,
    config: DiagnoseConfig | None = None,
) -> Null:
    """One project in which no model is better or worse than another."""
    config = config or DiagnoseConfig()
    dev, test = Project(items, rng), Project(items, rng, prefix="test")
    finding, measuring = halves(dev.examples, int(rng.integers(2**31)), share=config.finding_share)
    models = [dev.draw(rng) for _ in range(rounds + 1)]
    known: list[Issue] = []
    claims = 0
    for index, failed in enumerate(models):
        if index:
            comparisons = [
                Comparison(
                    issue,
                    issue.reference_model,
                    str(index),
                    dev.outcomes(issue, models[issue.found_round]),
                    dev.outcomes(issue, failed),
                )
                for issue in known
            ]
            decisions = decide(
                comparisons,
                half=measuring,
                groups={},
                alpha=round_alpha(config.alpha, index),
                found_now=index,
            )
            claims += sum(d.status in CLAIMS for d in decisions)
        known += dev.find(
            failed, finding, model=str(index), round=index, config=config, known=known
        )
    base, final = test.draw(rng), test.draw(rng)
    sealed = decide(
        [
            Comparison(i, "0", str(rounds), test.outcomes(i, base), test.outcomes(i, final))
            for i in known
        ],
        half=None,
        groups={},
        alpha=TEST_SHARE * config.alpha,
    )
    claims += sum(d.status in CLAIMS for d in sealed)
    return Null(len(known), claims, _naive(dev, models, config))


def _naive(project: Project, models: Sequence[np.ndarray], config: DiagnoseConfig) -> int:
    everything = set(project.ids)
    issues = project.find(models[0], everything, model="0", round=0, config=config)
    claims = 0
    for issue in issues:
        row, places = KINDS.index(issue.kind), project.members(issue)
        before = models[0][row, places]
        for failed in models[1:]:
            after = failed[row, places]
            fixed, broken = int((before & ~after).sum()), int((after & ~before).sum())
            claims += exact_p(fixed, broken) <= config.alpha
    return claims


def simulate_fall(
    rng: np.random.Generator,
    *,
    items: int = 300,
    round: int = 1,
    config: DiagnoseConfig | None = None,
) -> Fall | None:
    """One project whose one issue, drawn at random, truly falls by its stated MDE.

    Returns None when the project has no issue.
    """
    config = config or DiagnoseConfig()
    project = Project(items, rng)
    finding, measuring = halves(
        project.examples, int(rng.integers(2**31)), share=config.finding_share
    )
    base = project.draw(rng)
    issues = project.find(base, finding, model="0", round=0, config=config)
    if not issues:
        return None
    target = issues[int(rng.integers(len(issues)))]
    before: Mapping[str, Outcomes] = {i.id: project.outcomes(i, base) for i in issues}
    stated = stated_mde(
        target,
        before[target.id],
        half=measuring,
        groups={},
        issues=len(issues),
        round=round,
        config=config,
    )
    row, places = KINDS.index(target.kind), project.members(target)
    chance = project.chance.copy()
    true_rate = float(chance[row, places].mean())
    if not math.isinf(stated):
        chance[row, places] *= max(0.0, 1 - stated / true_rate)
    after = project.draw(rng, chance)
    decisions = decide(
        [Comparison(i, "0", "1", before[i.id], project.outcomes(i, after)) for i in issues],
        half=measuring,
        groups={},
        alpha=round_alpha(config.alpha, round),
    )
    found = decisions[issues.index(target)].status in ("resolved", "improved")
    counts = pair(before[target.id], before[target.id], only=measuring)
    return Fall(stated, counts.before_rate, counts.n, found)
