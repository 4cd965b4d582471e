"""What is read of another program's log: for each item its id, hashes of its prompt and target, its scores."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class ItemKey(NamedTuple):
    """An item: its task (or prompt), and its id within it."""

    task: str
    item: str


@dataclass
class LoggedItem:
    """One item.

    Attributes:
        prompt, target: hashes of the prompt, and of what it is judged against. name: how people
            find it in the file. scores: metric → a score a sample (None: unscored).
    """

    prompt: str
    target: str
    name: str
    scores: dict[str, list[float | None]] = field(default_factory=dict)

    def value(self, metric: str) -> float | None:
        """The mean over its scored samples; None where none was scored."""
        known = [score for score in self.scores.get(metric, ()) if score is not None]
        return sum(known) / len(known) if known else None


@dataclass
class ImportedLog:
    """A log of another program.

    Attributes:
        label: program, file and model in words. items: by task and id. metrics: task → metrics, in
            the order of the file. left_out: what has no figure an item, and why. incomplete: why the
            log does not hold its whole evaluation; empty where nothing says so.
    """

    label: str
    items: dict[ItemKey, LoggedItem] = field(default_factory=dict)
    metrics: dict[str, list[str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    incomplete: str = ""

    def add(
        self, key: ItemKey, prompt: str, target: str, name: str, scores: Mapping[str, float | None]
    ) -> bool:
        """Add a sample; False where the same item had another prompt before."""
        item = self.items.setdefault(key, LoggedItem(prompt, target, name))
        if (item.prompt, item.target) != (prompt, target):
            return False
        known = self.metrics.setdefault(key.task, [])
        for metric, score in scores.items():
            if metric not in known:
                known.append(metric)
            item.scores.setdefault(metric, []).append(score)
        return True

    @property
    def only_task(self) -> str | None:
        """The one task of the log, empty where its file tells no name; None where there are several."""
        return next(iter(self.metrics)) if len(self.metrics) == 1 else None

    def name_task(self, task: str) -> None:
        """Give the one task of the log its name."""
        self.items = {key._replace(task=task): item for key, item in self.items.items()}
        self.metrics = dict.fromkeys([task], *self.metrics.values())


def hash_value(value: Any) -> str:
    """A short content hash of any JSON value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_number(value: Any) -> float | None:
    """A figure that JSON holds; None for NaN, infinities, and what is no figure."""
    if isinstance(value, bool | int | float):
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None
    return None
