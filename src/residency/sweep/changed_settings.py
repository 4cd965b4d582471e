"""``[train]`` with some settings changed, checked as the settings file is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from residency.config.train import TrainConfig
from residency.errors import ConfigError


def change_settings(train: TrainConfig, changes: Mapping[str, Any], where: str) -> TrainConfig:
    """The settings with these changes.

    Raises:
        ConfigError: a setting does not take its value; ``where`` says who set it.
    """
    try:
        return TrainConfig.model_validate({**train.model_dump(mode="json"), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][-1])
        raise ConfigError(
            f"{name} = {changes.get(name)}: {first['msg'].removeprefix('Value error, ')}",
            where=where,
            next_step="see docs/configuration.md for what [train] takes",
        ) from None


def describe_settings(settings: Mapping[str, Any]) -> str:
    """Changed settings as people read them: ``learning rate 0.002, rank 8``; empty without any."""
    return ", ".join(
        f"{name.replace('_', ' ')} {f'{value:g}' if isinstance(value, float) else value}"
        for name, value in settings.items()
    )


def read_setting(train: TrainConfig, name: str) -> Any:
    """The value of a setting as JSON, and a search, know it: a number, true or false, or a word."""
    value = getattr(train, name)
    return value if isinstance(value, bool | int | float) else str(value)
