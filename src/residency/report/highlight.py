"""Text with evidence highlighted, as HTML in which everything from outside is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from markupsafe import Markup, escape

from residency.nouns.finding import Finding, Span


def highlight_findings(text: str, findings: Finding | Iterable[Finding] | None = None) -> Markup:
    """The text with the findings' spans marked; the reason shows when pointed at.

    Spans may overlap or lie outside the text: a character is marked when any span covers it,
    and carries the reasons of all that do.
    """
    if findings is None:
        return escape(text)
    several = [findings] if isinstance(findings, Finding) else list(findings)
    spans = [
        (max(0, span.start), min(len(text), span.end), _reason(finding, span))
        for finding in several
        if finding.status == "fail"
        for span in finding.spans
        if span.start < len(text) and span.end > 0 and span.start < span.end
    ]
    cuts = sorted({0, len(text), *(at for start, end, _ in spans for at in (start, end))})
    out = Markup()
    for start, end in pairwise(cuts):
        reasons = list(dict.fromkeys(r for a, b, r in spans if a <= start and end <= b))
        piece = escape(text[start:end])
        out += (
            Markup('<mark title="{}">{}</mark>').format("; ".join(reasons), piece)
            if reasons
            else piece
        )
    return out


def _reason(finding: Finding, span: Span) -> str:
    return span.note or finding.message or finding.kind


def highlight_trained(pieces: Sequence[tuple[str, bool]]) -> Markup:
    """A training row as text: what is trained coloured, what is only read dimmed."""
    out = Markup()
    for piece, trained in pieces:
        kind = "trained" if trained else "given"
        out += Markup('<span class="tok {}">{}</span>').format(kind, piece)
    return out
