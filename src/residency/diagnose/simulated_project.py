"""A made-up project whose truth is known: items, their chances to fail, models, missing answers.

Dev has two attributes (seven tags) and five kinds of failure: with *all* that is 40 candidate
slices. Each item fails a kind with a separate chance, from nearly fixed to nearly pure luck; its
paraphrases share the chance and often the outcome. A model shifts the chances of a kind by an
effect of its training, its answers are drawn anew, and some of them cannot be scored, of the
failing ones more. Each kind's detector errs in another way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.candidates import Table
from residency.diagnose.find_issues import make_issues
from residency.nouns.example import Example, Message
from residency.nouns.issue import Issue
from residency.stats.sample_reducer import Outcomes

KINDS = ("misspelling", "overlong", "repetition", "inconsistency", "hallucination")
_FIRST, _SECOND = 3, 4
_POPULATION = 12
"""Draws of an item's chance by which the rate of its kind of item is known."""

Chances = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class World:
    """What a simulated project is made of.

    Attributes:
        items: dev items. paraphrases: items a group.
        training: standard deviation, in log odds, of what a training does to a kind by luck.
        missing: most that a model loses of its failing answers (of passing ones a quarter).
        detector_errors: highest share of passes that a detector flags, and of failures it misses.
    """

    items: int = 300
    paraphrases: int = 1
    training: float = 0.0
    missing: float = 0.0
    detector_errors: float = 0.0


@dataclass(frozen=True)
class SimulatedModel:
    """A model's outcomes: 1 failed, 0 passed, −1 unscored, shape (kinds, items); and its effects."""

    outcomes: np.ndarray
    effects: np.ndarray


class SimulatedProject:
    """Items, their tags, and each item's chance to fail each kind."""

    def __init__(self, world: World, rng: np.random.Generator, *, prefix: str = "dev") -> None:
        self.world = world
        groups = -(-world.items // world.paraphrases)
        of_group = np.repeat(np.arange(groups), world.paraphrases)[: world.items]
        first = rng.integers(0, _FIRST, groups)
        second = rng.integers(0, _SECOND, groups)
        self.examples = [
            Example(
                (Message("user", f"{prefix} {i}"),),
                split="dev",
                group=f"{prefix} group {g}",
                tags=(f"a={first[g]}", f"b={second[g]}"),
            )
            for i, g in enumerate(of_group.tolist())
        ]
        self.ids = [example.id for example in self.examples]
        self.groups = {example.id: example.group for example in self.examples}
        self.of_group = of_group
        self._members: dict[str, np.ndarray] = {}
        self.agreement = rng.uniform(0, 0.8) if world.paraphrases > 1 else 0.0
        drawn = [_draw_chances(first, second, rng) for _ in KINDS]
        self.chance = np.stack([chance[0][of_group] for chance in drawn])
        self.population = np.stack([chance[:, of_group] for chance in drawn])
        errors = rng.uniform(0, max(world.detector_errors, 1e-12), (2, len(KINDS)))
        self.false_alarms, self.misses = errors

    def answer(
        self, rng: np.random.Generator, *, effects: np.ndarray | None = None, fixed: bool = False
    ) -> SimulatedModel:
        """A new model's answers; its effects are drawn unless given (``fixed``: no luck)."""
        luck = np.zeros(len(KINDS)) if fixed else rng.normal(0, self.world.training, len(KINDS))
        effect = luck if effects is None else effects + luck
        chance = self.seen_chance(self.chance, effect)
        failed = rng.random(chance.shape) < chance
        shared = rng.random((len(KINDS), self.of_group.max() + 1)) < self.agreement
        first = np.searchsorted(self.of_group, np.arange(self.of_group.max() + 1))
        copied = failed[:, first][:, self.of_group]
        failed = np.where(shared[:, self.of_group], copied, failed)
        lost = rng.uniform(0, max(self.world.missing, 1e-12), (len(KINDS), 1))
        unscored = rng.random(failed.shape) < np.where(failed, lost, lost / 4)
        return SimulatedModel(np.where(unscored, -1, failed.astype(np.int8)), effect)

    def seen_chance(self, chance: Chances, effect: np.ndarray) -> Chances:
        """Chances that the detectors report a failure, for a model with these effects."""
        shape = (-1,) + (1,) * (chance.ndim - 1)
        odds = np.log(chance / (1 - chance)) + effect.reshape(shape)
        true = 1 / (1 + np.exp(-odds))
        alarm, miss = self.false_alarms.reshape(shape), self.misses.reshape(shape)
        return np.asarray(true * (1 - miss) + (1 - true) * alarm)

    def true_rate(self, issue: Issue, model: SimulatedModel) -> float:
        """The model's rate on the kind of items in the slice (not on these very items)."""
        kind = KINDS.index(issue.kind)
        places = self.members(issue)
        population = self.population[kind][:, places][None]
        effect = model.effects[[kind]]
        odds = np.log(population / (1 - population)) + effect
        true = 1 / (1 + np.exp(-odds))
        alarm, miss = float(self.false_alarms[kind]), float(self.misses[kind])
        return float(np.mean(true * (1 - miss) + (1 - true) * alarm))

    def members(self, issue: Issue) -> np.ndarray:
        """Positions of the issue's slice."""
        if issue.slice.name not in self._members:
            inside = [i for i, e in enumerate(self.examples) if issue.slice.contains(e)]
            self._members[issue.slice.name] = np.array(inside)
        return self._members[issue.slice.name]

    def outcomes(self, issue: Issue, model: SimulatedModel) -> Outcomes:
        """Which items of the issue's slice fail it in one model's answers (None: unscored)."""
        row = model.outcomes[KINDS.index(issue.kind)]
        return {
            self.ids[i]: None if row[i] < 0 else bool(row[i]) for i in self.members(issue).tolist()
        }

    def find(
        self,
        model: SimulatedModel,
        half: set[str],
        *,
        name: str,
        round: int,
        config: DiagnoseConfig,
        known: Sequence[Issue] = (),
    ) -> list[Issue]:
        """Issues among the items of ``half``."""
        places = [i for i, key in enumerate(self.ids) if key in half]
        pool = [self.examples[i] for i in places]
        tables = {
            (kind, kind): Table(
                model.outcomes[k, places].astype(np.int8),
                np.where(model.outcomes[k, places] == 1, 0.5, 0.0),
                "1",
            )
            for k, kind in enumerate(KINDS)
        }
        return make_issues(pool, tables, model=name, round=round, config=config, known=known)


def _draw_chances(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> Chances:
    """Chances of each group, the first row those of this project, the others of more such items.

    Rates differ by kind and slice; ``spread`` sets how much of an item's outcome is luck.
    """
    rate = rng.uniform(0.03, 0.5)
    slices = rng.uniform(0.5, 1.5, _FIRST)[first] * rng.uniform(0.5, 1.5, _SECOND)[second]
    mean = np.clip(rate * slices, 0.01, 0.95)
    spread = rng.choice([0.5, 2.0, 50.0])
    drawn = rng.beta(mean * spread, (1 - mean) * spread, (1 + _POPULATION, mean.size))
    return np.asarray(np.clip(drawn, 1e-4, 1 - 1e-4))
