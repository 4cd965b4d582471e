"""One check's answer about one response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from residency.nouns.short_view import ShortView

Status = Literal["pass", "fail", "unscored"]
"""A check's answer. *unscored* (nothing to judge by) is never counted as *fail*."""


@dataclass(frozen=True)
class Span:
    """Evidence: characters ``start:end`` of the response's text, and why."""

    start: int
    end: int
    note: str = ""


@dataclass(frozen=True, repr=False)
class Finding(ShortView):
    """One check's answer about one response.

    Attributes:
        kind: the failure's kind, e.g. ``misspelling``, ``overlong``, ``repetition``,
            ``inconsistency``, ``hallucination``, ``wrong:urgency``, ``format``.
        severity: 0 (harmless) to 1 (catastrophic); 0 when it passed.
        spans: evidence in the response's text. message: the reason in words.
        detector, version: what looked. A new version is a new measurement.
        value: the measured figure, where there is one (a ratio, a distance).
    """

    response: str
    kind: str
    status: Status
    detector: str
    version: str
    severity: float = 0.0
    spans: tuple[Span, ...] = ()
    message: str = ""
    value: float | None = None
