"""Jinja set up so that whatever comes from a model or a file is escaped."""

from __future__ import annotations

import math

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from residency.nouns.example import Example
from residency.report.highlight import highlight
from residency.results import words


def environment(*more: str) -> Environment:
    """An environment over the report's templates and those of further packages.

    Autoescape is on for every template, whatever its name.
    """
    loaders: list[BaseLoader] = [PackageLoader(package) for package in (*more, "residency.report")]
    env = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(
        number=words.number,
        percent=words.percent,
        points=words.points,
        duration=words.duration,
        e_value=words.e_value,
        kind_words=words.kind_words,
        kind_meaning=words.kind_meaning,
        highlight=highlight,
        message=message,
        sentence=sentence,
    )
    env.tests["finite"] = math.isfinite
    env.globals.update(interval=words.interval, meaning=words.STATUSES)
    return env


def message(example: Example) -> str:
    """What the model was asked: the input of a row whose instruction every row shares."""
    last = example.prompt[-1] if example.prompt else None
    if last is not None and last.input and len(example.prompt) == 1:
        return last.input
    return example.prompt_text


def sentence(text: str) -> str:
    """A capital at the beginning and a full stop at the end."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def asset(env: Environment, name: str) -> Markup:
    """A file of the templates folder as it is."""
    loader = env.loader
    assert loader is not None
    return Markup(loader.get_source(env, name)[0])
