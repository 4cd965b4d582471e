"""Tasks whose answer is written: what stops it, how it is read, and when it is right.

``exact_match`` as lm-evaluation-harness 0.4.13 counts it: both texts without what is ignored are the
same; where a row has several right answers, one of them.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from residency.errors import SuiteError
from residency.evaluate.benchmarks.answer_filters import (
    FilterLine,
    check_pattern,
    read_filter_lines,
    replace_all,
)
from residency.evaluate.benchmarks.task import Row

MOST_TOKENS = 256
"""Tokens of an answer where the file names no number: the harness's number."""
_TOKEN_KEYS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_WITHOUT_EFFECT = frozenset({"do_sample", "temperature", "top_p", "top_k"})
"""Keys that change nothing where the likeliest token is taken."""


@dataclass(frozen=True)
class ExactMatch:
    """What is ignored when an answer is compared."""

    regexes_to_ignore: tuple[str, ...] = ()
    ignore_case: bool = False
    ignore_punctuation: bool = False
    ignore_numbers: bool = False

    def is_right(self, answer: str | None, targets: Sequence[str]) -> bool:
        """Whether it is one of the right answers."""
        if answer is None:
            return False
        plain = self.simplify(answer)
        return any(plain == self.simplify(target) for target in targets)

    def simplify(self, text: str) -> str:
        """A text without what is ignored."""
        for pattern in self.regexes_to_ignore:
            text = replace_all(pattern, text)
        if self.ignore_case:
            text = text.lower()
        if self.ignore_punctuation:
            text = text.translate(str.maketrans("", "", string.punctuation))
        if self.ignore_numbers:
            text = text.translate(str.maketrans("", "", string.digits))
        return text


@dataclass(frozen=True)
class GenerationSettings:
    """How a task's answers are written and counted.

    Attributes:
        stop: texts that end an answer. max_tokens: its most tokens.
        lines: ways to read the answer, each with a separate figure.
        match: when an answer is right.
    """

    stop: tuple[str, ...]
    max_tokens: int = MOST_TOKENS
    lines: tuple[FilterLine, ...] = (FilterLine("none", ()),)
    match: ExactMatch = ExactMatch()

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the figures, as in the harness: ``exact_match,NAME`` where a filter has a name."""
        return tuple(
            "exact_match" if line.name == "none" else f"exact_match,{line.name}"
            for line in self.lines
        )

    def score_answer(self, text: str, row: Row, targets: Sequence[str]) -> dict[str, float]:
        """Every figure of one answer."""
        return {
            name: float(self.match.is_right(line.read_answer(text, row), targets))
            for name, line in zip(self.metrics, self.lines, strict=True)
        }


def read_generation(
    raw: Mapping[str, Any], fewshot_delimiter: str, where: str
) -> GenerationSettings:
    """The settings of a task file of the type ``generate_until``.

    Raises:
        SuiteError: settings that are not read here: sampling, beams, metrics other than exact_match.
    """
    stop, max_tokens = _read_stop(raw.get("generation_kwargs"), fewshot_delimiter, where)
    return GenerationSettings(
        stop, max_tokens, read_filter_lines(raw.get("filter_list"), where), _read_match(raw, where)
    )


def _read_stop(raw: Any, fewshot_delimiter: str, where: str) -> tuple[tuple[str, ...], int]:
    settings = {key: value for key, value in (raw or {}).items() if value is not None}
    sampled = settings.get("do_sample") or (
        "do_sample" not in settings and float(settings.get("temperature", 0)) > 0
    )
    if sampled:
        raise SuiteError(
            "the task draws its answers at random; compared are the likeliest ones",
            where=f"{where}, generation_kwargs",
            next_step="set do_sample: false",
        )
    unread = sorted(set(settings) - _WITHOUT_EFFECT - {*_TOKEN_KEYS, "until"})
    if unread:
        raise SuiteError(f"the key {unread[0]!r} is not read", where=f"{where}, generation_kwargs")
    until = settings.get("until", [fewshot_delimiter])
    most = next((settings[key] for key in _TOKEN_KEYS if key in settings), MOST_TOKENS)
    if not isinstance(most, int) or most < 1:
        raise SuiteError(f"{most!r} is no number of tokens", where=f"{where}, generation_kwargs")
    stop = [until] if isinstance(until, str) else until
    return tuple(str(text) for text in stop), most


def _read_match(raw: Mapping[str, Any], where: str) -> ExactMatch:
    listed = raw.get("metric_list") or [{"metric": "exact_match"}]
    if len(listed) != 1 or listed[0].get("metric") != "exact_match":
        other = next((m.get("metric") for m in listed if m.get("metric") != "exact_match"), None)
        raise SuiteError(
            f"the metric {other!r} is not known for generate_until (exact_match is)", where=where
        )
    options = {key: value for key, value in listed[0].items() if key not in ("metric", "version")}
    if options.pop("aggregation", "mean") != "mean" or options.pop("hf_evaluate", False):
        raise SuiteError("exact_match is a mean, and the harness's own one", where=where)
    options.pop("higher_is_better", None)
    unread = sorted(set(options) - set(ExactMatch.__dataclass_fields__))
    if unread:
        raise SuiteError(f"the key {unread[0]!r} is not read", where=f"{where}, metric_list")
    patterns = options.pop("regexes_to_ignore", None) or ()
    for pattern in patterns:
        check_pattern(pattern, where)
    return ExactMatch(tuple(patterns), **{key: bool(value) for key, value in options.items()})
