"""Rows from templates that are filled from lists."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from residency.config.parse_toml import TomlTextError, parse_toml
from residency.config.read_text import read_text_file
from residency.errors import DataError
from residency.nouns.example import Example, Message
from residency.text.counts import write_count

TRIES_A_ROW = 50
"""Draws a row after which the templates are taken to give no more different rows."""


def fill_templates(path: Path, count: int, *, seed: int = 0, most: int = 0) -> list[Example]:
    """``count`` different rows from a TOML file of templates and slots, or up to ``most`` of them.

    The file holds ``[slots]`` (name → list of values, or of tables of values that belong
    together) and ``[[template]]`` tables with instruction, input (optional), response and tags
    (optional), in which ``{slot}`` or ``{slot.part}`` stands for a value.

    Raises:
        DataError: the file is wrong, a slot is unknown, or there are not so many different rows.
    """
    try:
        raw = parse_toml(read_text_file(path))
    except (OSError, UnicodeDecodeError, TomlTextError) as error:
        raise DataError(f"not a template file: {error}", where=str(path)) from None
    templates, slots = raw.get("template", []), raw.get("slots", {})
    if not templates:
        raise DataError("no [[template]] in it", where=str(path))
    for name, choices in slots.items():
        if not isinstance(choices, list) or not choices:
            raise DataError(
                f"slot {name!r} is not a list of values",
                where=str(path),
                next_step=f'e.g. {name} = ["one", "two"]',
            )
    rng = random.Random(seed)
    rows: dict[str, Example] = {}
    misses = 0
    while len(rows) < max(count, most):
        number = rng.randrange(len(templates))
        row = _fill_template(templates[number], slots, rng, f"{path} template {number + 1}")
        row = replace(row, split="train", source=f"{path.name}:{number + 1}", why="template")
        if row.id in rows:
            misses += 1
            if misses > TRIES_A_ROW * count:
                if len(rows) >= count:
                    break
                raise DataError(
                    f"only {write_count(len(rows), 'different row comes', 'different rows come')} out of these templates",
                    where=str(path),
                    next_step="add values to the slots, or ask for fewer rows",
                )
        rows.setdefault(row.id, row)
    return list(rows.values())


def _fill_template(
    template: Mapping[str, Any], slots: Mapping[str, Any], rng: random.Random, where: str
) -> Example:
    values: dict[str, str] = {}
    for name, choices in sorted(slots.items()):
        choice = rng.choice(choices)
        if isinstance(choice, Mapping):
            values |= {f"{name}.{part}": str(value) for part, value in choice.items()}
        else:
            values[name] = str(choice)

    def fill_field(field: str) -> str:
        def find_value(match: re.Match[str]) -> str:
            if match.group(1) not in values:
                raise DataError(
                    f"unknown slot {{{match.group(1)}}}",
                    where=f"{where} {field}",
                    next_step=f"name it under [slots] of the file; there are: {', '.join(values) or 'none'}",
                )
            return values[match.group(1)]

        return re.sub(r"\{([\w.]+)\}", find_value, str(template.get(field, "")))

    if not template.get("instruction") or not template.get("response"):
        raise DataError(
            "instruction and response are needed",
            where=where,
            next_step=f"correct its fields ({', '.join(template) or 'none'}); input may be left out",
        )
    return Example(
        (
            Message("user", fill_field("instruction"), input=fill_field("input")),
            Message("assistant", fill_field("response")),
        ),
        tags=tuple(
            re.sub(r"\{([\w.]+)\}", lambda m: values.get(m.group(1), ""), t)
            for t in template.get("tags", ())
        ),
    )
