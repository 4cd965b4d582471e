"""``residency.toml`` ↔ typed settings. A docstring under each field becomes its help text.

Every setting is read by something and tested. Unknown keys are refused, with the nearest
known name in the message.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from residency.config.data import DataConfig
from residency.config.diagnose import DiagnoseConfig
from residency.config.endpoint import EndpointConfig
from residency.config.evaluate import EvaluateConfig
from residency.config.generate import GenerateConfig
from residency.config.model import ModelConfig
from residency.config.project import ProjectConfig
from residency.config.rounds import RoundsConfig
from residency.config.section import Section
from residency.config.target import TargetConfig
from residency.config.train import TrainConfig
from residency.errors import ConfigError

CONFIG_NAME = "residency.toml"


class Config(Section):
    """The whole of ``residency.toml``."""

    project: ProjectConfig = ProjectConfig()
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    generate: GenerateConfig = GenerateConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    diagnose: DiagnoseConfig = DiagnoseConfig()
    target: TargetConfig = TargetConfig()
    rounds: RoundsConfig = RoundsConfig()
    judge: EndpointConfig = EndpointConfig()
    embedding: EndpointConfig = EndpointConfig()
    teacher: EndpointConfig = EndpointConfig()


def parse_config(raw: dict[str, Any], *, where: str = CONFIG_NAME) -> Config:
    """Settings from a parsed TOML table.

    Raises:
        ConfigError: with every wrong key or value named, and the nearest known name.
    """
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        lines = []
        for item in error.errors():
            key = ".".join(str(part) for part in item["loc"])
            if item["type"] == "extra_forbidden":
                lines.append(f"unknown setting {key!r}{_nearest(item['loc'])}")
            else:
                lines.append(f"{key}: {item['msg'].lower()} (found {item.get('input')!r})")
        raise ConfigError(
            "; ".join(lines),
            where=where,
            next_step="see docs/configuration.md for every setting",
        ) from None


def load_config(path: Path) -> Config:
    """Settings from a ``residency.toml``.

    Raises:
        ConfigError: the file is missing, is not TOML, or holds a wrong setting.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"no {CONFIG_NAME} here",
            where=str(path.parent),
            next_step="make a project with: residency init DIR --example tickets",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not valid TOML: {error}", where=str(path)) from None
    return parse_config(raw, where=str(path))


def _nearest(loc: tuple[int | str, ...]) -> str:
    section: type[BaseModel] = Config
    for part in loc[:-1]:
        found = section.model_fields.get(str(part))
        if found is None or not isinstance(found.annotation, type):
            return ""
        section = found.annotation
    close = difflib.get_close_matches(str(loc[-1]), list(section.model_fields), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
