"""What a rule sees of one response, and what it answers about it."""

from __future__ import annotations

from dataclasses import dataclass

from residency.interfaces import Embedder
from residency.nouns.example import Example
from residency.nouns.finding import Finding, Span, Status
from residency.nouns.response import Response

CUT = "cut by the token limit before this could be judged"
RAISED = " raised "


@dataclass(frozen=True)
class Item:
    """One response as a rule sees it.

    ``text`` and ``reference`` are the whole texts, or one field's; ``offset`` is where ``text``
    begins in the response. ``missing`` says why there is no text to judge; ``absent`` that this is
    the answer's fault, so that every check of it has failed.
    """

    example: Example
    response: Response
    text: str
    reference: str | None
    offset: int = 0
    cut: bool = False
    missing: str = ""
    absent: bool = False

    def span(self, start: int, end: int, note: str = "") -> Span:
        """A span of ``text`` as a span of the response."""
        return Span(self.offset + start, self.offset + end, note)


@dataclass(frozen=True)
class Check:
    """One result. ``final`` is False when a longer answer could still change it; ``raised`` is True
    where the rule itself broke."""

    status: Status
    message: str = ""
    spans: tuple[Span, ...] = ()
    value: float | None = None
    kind: str = ""
    final: bool = True
    raised: bool = False


def pass_check(message: str = "", *, value: float | None = None, final: bool = True) -> Check:
    """A check that passed."""
    return Check("pass", message, value=value, final=final)


def fail_check(
    message: str, *spans: Span, value: float | None = None, final: bool = True, kind: str = ""
) -> Check:
    """A check that failed, with its reason and evidence."""
    return Check("fail", message, spans, value, kind, final)


def leave_unscored(message: str, *, kind: str = "") -> Check:
    """Nothing to judge by."""
    return Check("unscored", message, kind=kind)


def raised_check(detector: str, error: Exception, *, kind: str = "") -> Check:
    """Nothing was judged, since the rule raised an exception."""
    message = f"{detector}{RAISED}{type(error).__name__}: {error}"
    return Check("unscored", message[:500], kind=kind, raised=True)


def is_raised(finding: Finding) -> bool:
    """Whether nothing was judged because the rule raised an exception."""
    return finding.status == "unscored" and finding.message.startswith(finding.detector + RAISED)


@dataclass(frozen=True)
class Context:
    """What rules may use besides the items: the embedder, if there is one."""

    embedder: Embedder | None = None
