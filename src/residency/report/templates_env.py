"""Jinja set up so that whatever comes from a model or a file is cleaned and escaped."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import cache

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from residency.nouns.example import Example
from residency.report.clean_text import clean_text
from residency.report.highlight import highlight_findings
from residency.results.arm_sentences import QUESTIONS
from residency.results.benchmark_change import name_change_unit, write_change, write_change_interval
from residency.results.kinds import kind_meaning, kind_words
from residency.results.number_formats import (
    format_duration,
    format_e_value,
    format_interval,
    format_number,
    format_percent,
    format_points,
    format_rough_duration,
    format_trained_rows,
)
from residency.results.statuses import SIGNIFICANT, STATUSES, status_meaning


@cache
def make_environment(*more: str) -> Environment:
    """An environment over the report's templates and those of further packages.

    Autoescape is on for every template, whatever its name, and every text that goes into a page
    loses its control characters.
    """
    loaders: list[BaseLoader] = [PackageLoader(package) for package in (*more, "residency.report")]
    env = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_clean_value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(
        number=format_number,
        percent=format_percent,
        points=format_points,
        benchmark_change=write_change,
        benchmark_interval=write_change_interval,
        change_unit=name_change_unit,
        trained_rows=format_trained_rows,
        duration=format_duration,
        rough_duration=format_rough_duration,
        moment=show_moment,
        e_value=format_e_value,
        kind_words=kind_words,
        kind_meaning=kind_meaning,
        highlight=highlight_findings,
        message=show_message,
        sentence=end_sentence,
    )
    env.tests["finite"] = math.isfinite
    env.globals.update(
        interval=format_interval,
        arm_question=QUESTIONS.__getitem__,
        statuses=STATUSES,
        significant=SIGNIFICANT,
        meaning=status_meaning,
    )
    return env


def compile_templates(*more: str) -> None:
    """Compile what ``make_environment`` would compile at a template's first use: a third of a second,
    better spent before somebody waits for a page."""
    env = make_environment(*more)
    for name in env.list_templates(extensions=["j2"]):
        env.get_template(name)


def _clean_value(value: object) -> object:
    if isinstance(value, Markup):
        return Markup(clean_text(str(value)))
    return clean_text(value) if isinstance(value, str) else value


def show_message(example: Example) -> str:
    """The model's last prompt: the input of a row whose instruction every row shares."""
    last = example.prompt[-1] if example.prompt else None
    if last is not None and last.input and len(example.prompt) == 1:
        return last.input
    return example.prompt_text


def end_sentence(text: str) -> str:
    """A capital at the beginning and a full stop at the end; commands and settings stay as they are."""
    first = text.split(" ", 1)[0].rstrip(".,:;")
    is_name = first == "residency" or any(mark in first for mark in "._=/")
    start = text[:1] if is_name else text[:1].upper()
    return start + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def show_moment(text: str) -> Markup | str:
    """A stored moment as people write it, ``27 Nov 2026, 20:41 UTC``; the pages' script makes it local."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    shown = f"{at.day} {at:%b %Y, %H:%M} UTC"
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(timespec="seconds"), shown)


def read_asset(env: Environment, name: str) -> Markup:
    """A file of the templates folder as it is."""
    loader = env.loader
    assert loader is not None
    return Markup(loader.get_source(env, name)[0])
