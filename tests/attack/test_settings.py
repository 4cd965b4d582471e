"""Damaged settings and suites: read, or refused with a place and a next step; never a traceback."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from fuzz import Fuzz
from mutate import mutate_bytes, mutate_json
from residency.config.settings import Config, load_config, parse_config
from residency.errors import ConfigError, SuiteError
from residency.evaluate.suites.load_suite import load_suite
from residency.examples import tickets

EXAMPLE = Path(tickets.__file__).parent
COUNT = 300


def as_toml(value: Any) -> str | None:
    """TOML of a JSON tree; None where TOML cannot say it (null, lone surrogates)."""
    try:
        text = tomlkit.dumps(value)
        text.encode()
        tomllib.loads(text)
    except Exception:
        return None
    return text


def test_damaged_bytes_of_the_settings(tmp_path: Path, fuzz: Fuzz) -> None:
    file = tmp_path / "residency.toml"
    source = (EXAMPLE / "residency.toml").read_bytes()

    def load(data: bytes) -> None:
        file.write_bytes(data)
        load_config(file)

    fuzz.attack(mutate_bytes(source, fuzz.count(COUNT), fuzz.seed(1)), load, (ConfigError,))


def test_strange_values_in_the_settings(fuzz: Fuzz) -> None:
    raw = tomllib.loads((EXAMPLE / "residency.toml").read_text(encoding="utf-8"))
    values = mutate_json(raw, fuzz.count(COUNT), fuzz.seed(2))
    outcomes = fuzz.attack(values, parse_config, (ConfigError,))
    assert outcomes["refused"] > outcomes.total() // 4


@pytest.mark.parametrize("kind", ["bytes", "values"])
def test_damaged_suites(tmp_path: Path, kind: str, fuzz: Fuzz) -> None:
    file = tmp_path / "suite.toml"
    source = (EXAMPLE / "suite.toml").read_bytes()
    inputs: Iterable[bytes]
    if kind == "bytes":
        inputs = mutate_bytes(source, fuzz.count(COUNT), fuzz.seed(3))
    else:
        trees = mutate_json(tomllib.loads(source.decode()), fuzz.count(COUNT), fuzz.seed(4))
        inputs = (text.encode() for tree in trees if (text := as_toml(tree)) is not None)

    def load(data: bytes) -> None:
        file.write_bytes(data)
        load_suite(file)

    fuzz.attack(inputs, load, (SuiteError, ConfigError))


SETTINGS = [
    (table, name, field.annotation)
    for table, section in Config.model_fields.items()
    for name, field in section.annotation.model_fields.items()  # type: ignore[union-attr]
]


@pytest.mark.parametrize(
    "value", [-1, -0.5, -1e300, 1e300, 10**30, inf, -inf, nan, True, "8", [], {"a": 1}]
)
def test_no_number_may_be_what_no_number_of_its_kind_is(value: Any) -> None:
    numbers = [s for s in SETTINGS if s[2] in (int, float, float | None, int | None)]
    assert len(numbers) > 80
    for table, name, _ in numbers:
        with pytest.raises(ConfigError, match=name):
            parse_config({table: {name: value}})


@pytest.mark.parametrize("value", ["a\0b", "\0", ["\0"], {"a": "\0"}, {"\0": "a"}])
def test_no_setting_holds_a_null_character(value: Any) -> None:
    for table, name, _ in SETTINGS:
        with pytest.raises(ConfigError):
            parse_config({table: {name: value}})


@pytest.mark.parametrize("value", ["x" * 4000, ["x" * 4000], [["x"] * 2000], {"x" * 4000: 1}])
def test_a_message_does_not_repeat_a_long_value(value: Any) -> None:
    for table, name, _ in SETTINGS:
        try:
            parse_config({table: {name: value}})
        except ConfigError as error:
            assert len(str(error)) < 1000, (table, name)
    with pytest.raises(ConfigError) as caught:
        parse_config({"x" * 4000: {"y": 1}})
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("table", "name", "value"),
    [
        ("model", "threads", 2**31),  # overflows where threads are set
        ("judge", "timeout", 2**53),  # and where a socket's time is set
        ("guard", "timeout", 0),
        ("serve", "keep_days", 10**6),  # before the year 1
        ("serve", "timeout", 2**53),
        ("train", "rank", 2**40),
    ],
)
def test_numbers_that_overflow_later_are_refused_at_once(
    table: str, name: str, value: float
) -> None:
    with pytest.raises(ConfigError, match=name):
        parse_config({table: {name: value}})


@pytest.mark.parametrize(
    "text",
    [
        "[" * 3000,
        "a = " + "[" * 3000,
        ".".join("a" * 20_000) + " = 1",
        "a = " + "9" * 5000,
        "[project]\nname = '" + "x" * 1_000_000 + "'",
        "\ufeff[project]\nname = 'x'\n",
        "[project]\r\nname = 'x'\r\n",
    ],
    ids=["brackets", "nested", "parts", "digits", "long", "bom", "crlf"],
)
def test_settings_out_of_proportion(tmp_path: Path, text: str) -> None:
    file = tmp_path / "residency.toml"
    file.write_text(text, encoding="utf-8", newline="")
    try:
        load_config(file)
    except ConfigError as error:
        assert len(str(error)) < 5000
