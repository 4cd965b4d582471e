"""Which settings of ``[train]`` a search varies, and between what: ``learning_rate=1e-4..3e-3``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from residency.config.train import TrainConfig
from residency.errors import UserError
from residency.sweep.changed_settings import change_settings, read_setting

SEARCHABLE = (
    "learning_rate",
    "epochs",
    "rank",
    "alpha",
    "layers",
    "batch_size",
    "schedule",
    "warmup",
    "weight_decay",
    "dropout",
    "rslora",
    "dora",
    "lora_plus",
    "beta",
)
"""Settings that change what is learned. The others change how fast, or what is measured."""
WIDE = 10.0
"""From this ratio of high to low on, a range is searched by its logarithm."""


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``; ``whole``: integers. Searched by logarithm where it is wide."""

    low: float
    high: float
    whole: bool = False

    @property
    def is_logarithmic(self) -> bool:
        """Whether a step is a factor."""
        return self.low > 0 and self.high / self.low >= WIDE


Choices = tuple[Any, ...]
Space = Mapping[str, Range | Choices]


def choose_space(train: TrainConfig) -> dict[str, Range | Choices]:
    """What is varied when nothing is named: the learning rate, the epochs, and LoRA's rank."""
    space: dict[str, Range | Choices] = {
        "learning_rate": Range(train.learning_rate / 10, train.learning_rate * 10),
        "epochs": Range(train.epochs / 2, train.epochs * 2),
    }
    if train.method == "lora":
        space["rank"] = tuple(sorted({4, 8, 16, 32, train.rank}))
    return space


def read_space(words: Sequence[str], train: TrainConfig) -> dict[str, Range | Choices]:
    """``NAME=LOW..HIGH`` or ``NAME=A,B,C`` each; the project's value joins.

    Raises:
        UserError: no such form, or a setting that is not searched. ConfigError: a value that the
            setting does not take.
    """
    space: dict[str, Range | Choices] = {}
    for word in words:
        name, _, values = word.partition("=")
        name = name.strip().removeprefix("train.")
        if name not in SEARCHABLE:
            raise UserError(
                f"{name!r} is no setting that can be searched",
                where="--vary",
                next_step=f"one of: {', '.join(SEARCHABLE)}",
            )
        low, dots, high = values.partition("..")
        parts = [low, high] if dots else [part.strip() for part in values.split(",") if part]
        parsed_values = [_check(name, part.strip(), train) for part in parts]
        project_value = getattr(train, name)
        if not dots and parsed_values:
            space[name] = tuple(dict.fromkeys([*parsed_values, read_setting(train, name)]))
            continue
        numbers = [
            v for v in parsed_values if isinstance(v, int | float) and not isinstance(v, bool)
        ]
        if len(numbers) != 2 or numbers[0] >= numbers[1]:
            raise UserError(
                f"{word!r} is neither a rising range of numbers nor a list of values",
                where="--vary",
                next_step="for example --vary learning_rate=1e-4..3e-3 --vary rank=4,8,16",
            )
        whole = isinstance(project_value, int)
        space[name] = Range(min(numbers[0], project_value), max(numbers[1], project_value), whole)
    return space


def _check(name: str, text: str, train: TrainConfig) -> Any:
    """A value as the setting has it: a number, true or false, or else a word."""
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    return read_setting(change_settings(train, {name: value}, "--vary"), name)
