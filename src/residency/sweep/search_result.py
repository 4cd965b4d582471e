"""The result of a search for settings: the trials, and the best against the project's, afresh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

import numpy as np

from residency.nouns.short_view import ShortView
from residency.stats import special
from residency.stats.intervals import mean_interval
from residency.sweep.changed_settings import describe_settings
from residency.sweep.size_table import average_items
from residency.text.counts import write_count
from residency.text.percent import write_percent


@dataclass(frozen=True)
class Trial:
    """One choice of settings.

    Attributes:
        settings: of ``[train]``, by name; none: the project's. trainings: that were made.
        score: mean of the primary metric over the items that choose and the trainings; None where
            training failed. stopped: it was left for worse than the best before all its seeds.
        failure: why training failed.
    """

    settings: Mapping[str, Any]
    trainings: int
    score: float | None
    stopped: bool = False
    failure: str = ""


@dataclass(frozen=True)
class Gain:
    """The best settings minus the project's: fresh trainings, items that chose nothing.

    Attributes:
        mean, low, high: of the difference, with its 95 % interval over items and trainings.
        best, own (the project's): means. items: that measured. trainings: of each.
    """

    mean: float
    low: float
    high: float
    best: float
    own: float
    items: int
    trainings: int


@dataclass(frozen=True, repr=False)
class SearchResult(ShortView):
    """A finished search.

    Attributes:
        metric: title of the primary metric. trials: in the order in which they were tried.
        best: settings of the best trial; empty when the project's were best.
        gain: None where nothing was confirmed. words: what it shows, in sentences.
        seconds: of this call.
    """

    run: str
    metric: str
    trials: tuple[Trial, ...]
    best: Mapping[str, Any]
    gain: Gain | None
    words: tuple[str, ...]
    seconds: float
    notes: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: what the store keeps and ``--json`` prints."""
        return asdict(self)


def measure_gain(
    best: Sequence[Mapping[str, float | None]],
    project: Sequence[Mapping[str, float | None]],
    groups: Mapping[str, str],
) -> Gain | None:
    """The difference of two settings, each by several trainings; None without shared items.

    The interval is that of the paired items, widened by the noise of the trainings: Student's t on
    the pooled variance of the trainings' means. An item that could not be judged counts as 0.

    Args:
        best, project: by training, each item's score. groups: of items, by id.
    """
    mine, theirs = (
        average_items([_count_unscored(one) for one in ones]) for ones in (best, project)
    )
    shared = [item for item in mine if item in theirs]
    if not shared:
        return None
    differences = [mine[item] - theirs[item] for item in shared]
    mean = sum(differences) / len(differences)
    low, high = mean_interval(differences, [groups.get(i, i) for i in shared], signed=True)
    means = [
        [np.mean(list(_count_unscored(one).values())) for one in ones] for ones in (best, project)
    ]
    degrees = sum(len(side) - 1 for side in means)
    spread = sum(float(np.var(side, ddof=1)) * (len(side) - 1) for side in means if len(side) > 1)
    noise = spread / degrees * sum(1 / len(side) for side in means) if degrees else 0.0
    trained = float(special.stdtrit(degrees, 0.975)) * noise**0.5 if degrees else float("inf")
    low = max(-1.0, mean - ((mean - low) ** 2 + trained**2) ** 0.5)
    high = min(1.0, mean + ((high - mean) ** 2 + trained**2) ** 0.5)
    return Gain(
        mean=mean,
        low=low if isfinite(low) else -1.0,
        high=high if isfinite(high) else 1.0,
        best=sum(mine[item] for item in shared) / len(shared),
        own=sum(theirs[item] for item in shared) / len(shared),
        items=len(shared),
        trainings=min(len(best), len(project)),
    )


def describe_trial(settings: Mapping[str, Any]) -> str:
    """Settings as people read them."""
    return describe_settings(settings) or "the project's own settings"


def describe_gain(best: Mapping[str, Any], gain: Gain | None, metric: str, tried: int) -> list[str]:
    """What came out, and how sure it is."""
    if not best or gain is None:
        return [
            f"None of {tried} settings did better than the project's own on the items that choose: "
            "nothing was confirmed, keep yours."
        ]
    figures = (
        f"{metric} {write_percent(gain.best)} against {write_percent(gain.own)} with the project's own: "
        f"{100 * gain.mean:+.1f} points [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
    )
    basis = f"{write_count(gain.trainings, 'fresh training')} of each, {write_count(gain.items, 'item')} that chose nothing, paired"
    if gain.low > 0:
        sentence = f"Take {describe_trial(best)}: {figures}."
    elif gain.high < 0:
        sentence = (
            f"Keep the project's own settings: {describe_trial(best)} won by luck. {figures}."
        )
    else:
        sentence = (
            f"No difference could be shown: {describe_trial(best)} was best of {tried}. {figures}."
        )
    return [sentence, f"This rests on {basis}. The sealed test was not opened."]


def _count_unscored(scores: Mapping[str, float | None]) -> dict[str, float]:
    """What could not be judged wins nothing."""
    return {item: value or 0.0 for item, value in scores.items()}
