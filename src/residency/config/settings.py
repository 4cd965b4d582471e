"""``residency.toml`` ↔ typed settings. A docstring under each field becomes its help text.

Every setting is read by something and tested. Unknown keys are refused, with the nearest
known name in the message.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from residency.config.data import DataConfig
from residency.config.diagnose import DiagnoseConfig
from residency.config.endpoint import EndpointConfig, JudgeConfig
from residency.config.evaluate import EvaluateConfig
from residency.config.find_line import find_line
from residency.config.generate import GenerateConfig
from residency.config.guard import GuardConfig
from residency.config.model import ModelConfig
from residency.config.moderation import ModerationConfig
from residency.config.parse_toml import TomlTextError, parse_toml
from residency.config.project import ProjectConfig
from residency.config.read_text import read_text_file
from residency.config.rounds import RoundsConfig
from residency.config.section import Section
from residency.config.serve import ServeConfig
from residency.config.target import TargetConfig
from residency.config.train import TrainConfig
from residency.errors import ConfigError
from residency.nouns.example import SPLITS
from residency.secrets import mask_addresses, mask_mistake

CONFIG_NAME = "residency.toml"
T = TypeVar("T", bound=Section)
LONGEST_VALUE = 200
"""Letters of a wrong value that a message repeats."""


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
    judge: JudgeConfig = JudgeConfig()
    embedding: EndpointConfig = EndpointConfig()
    teacher: EndpointConfig = EndpointConfig()
    moderation: ModerationConfig = ModerationConfig()
    guard: GuardConfig = GuardConfig()
    serve: ServeConfig = ServeConfig()

    def with_secrets_of(self, original: Config) -> Config:
        """These settings, which were written with masked addresses, with the same ones whole."""
        data: dict[str, Any] = {s: getattr(original.data, s) for s in SPLITS}
        data = {s: files for s, files in data.items() if files == getattr(self.data, s)}
        project = {
            name: address
            for name in ("store", "artifacts")
            if (address := getattr(original.project, name)) == getattr(self.project, name)
        }
        return self.model_copy(
            update={
                "project": self.project.model_copy(update=project),
                "data": self.data.model_copy(update=data),
            }
        )


def parse_config(raw: dict[str, Any], *, where: str = CONFIG_NAME, text: str = "") -> Config:
    """Settings from a parsed TOML table; ``text`` is the file, for the lines of mistakes.

    Raises:
        ConfigError: with every wrong key or value named, its line, and the nearest known name.
    """
    return validate_section(Config, raw, where=where, text=text)


def validate_section(kind: type[T], raw: Mapping[str, Any], *, where: str, text: str = "") -> T:
    """One table as settings; see ``parse_config``."""
    try:
        return kind.model_validate(raw)
    except RecursionError:
        raise ConfigError("tables in tables without end", where=where) from None
    except ValidationError as error:
        mistakes = [_describe_mistake(kind, item, text) for item in error.errors()]
    lines = [line for line, _ in mistakes]
    if len(mistakes) == 1 and lines[0]:
        where, message = f"{where}:{lines[0]}", mistakes[0][1]
    else:
        message = "; ".join(f"line {n}: {what}" if n else what for n, what in mistakes)
    raise ConfigError(message, where=where, next_step="see docs/configuration.md for every setting")


def _describe_mistake(
    kind: type[BaseModel], item: ErrorDetails, text: str
) -> tuple[int | None, str]:
    """The line of a wrong setting, and what is wrong with it."""
    path = item["loc"]
    key = _cut_value(".".join(str(part) for part in path))
    line = find_line(text, path) if text else None
    if item["type"] == "extra_forbidden":
        return line, f"unknown setting {key!r}{_suggest_name(kind, path)}"
    key = key.removesuffix(".[key]")
    message = item["msg"].removeprefix("Value error, ").replace("a valid dictionary", "a table")
    if item["type"] != "value_error":
        message = message[:1].lower() + message[1:]
    if item["type"] in ("variable_name", "string_type"):
        return line, f"{key}: {message}"
    input_value = item.get("input")
    value = (
        repr(mask_mistake(input_value))
        if isinstance(input_value, str)
        else mask_addresses(repr(input_value))
    )
    return line, f"{key}: {_cut_value(message)} (found {_cut_value(value)})"


def _cut_value(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def read_toml(path: Path) -> tuple[dict[str, Any], str]:
    """A TOML file's tables, and its text.

    Raises:
        ConfigError: the file is missing, is not a file, is too large, or is not TOML.
    """
    if path.is_dir():
        raise ConfigError(
            f"{path.name} is a folder; a file is expected",
            where=str(path),
            next_step="move it away and run residency init",
        )
    try:
        text = read_text_file(path, "utf-8-sig")
        return parse_toml(text), text
    except FileNotFoundError:
        raise ConfigError(
            f"no {CONFIG_NAME} here",
            where=str(path.parent),
            next_step="make a project with: residency init DIR --example tickets",
        ) from None
    except TomlTextError as error:
        raise ConfigError(str(error), where=str(path)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8: {error}", where=str(path)) from None
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", where=str(path), next_step="mend its permissions"
        ) from None


def load_config(path: Path) -> Config:
    """Settings from a ``residency.toml``.

    Raises:
        ConfigError: the file is missing, is not TOML, or holds a wrong setting.
    """
    raw, text = read_toml(path)
    return parse_config(raw, where=str(path), text=text)


def _suggest_name(kind: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    section = kind
    for part in loc[:-1]:
        field = section.model_fields.get(str(part))
        if field is None or not isinstance(field.annotation, type):
            return ""
        section = field.annotation
    close = difflib.get_close_matches(str(loc[-1]), list(section.model_fields), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
