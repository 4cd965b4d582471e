"""May a model go out? A gate's findings, with their reasons and how often each is false."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from residency.nouns.short_view import ShortView
from residency.stats.paired_changes import PairedChange
from residency.text.counts import write_count
from residency.text.percent import write_percent

ReasonKind = Literal[
    "regressed",
    "came back",
    "forgotten",
    "worse on the sealed test",
    "too little scored",
    "not shown to be within the margin",
    "not complete",
    "other definition",
]


@dataclass(frozen=True)
class GateReason:
    """Why a gate is closed. ``error``: how often such a sentence is false."""

    kind: ReasonKind
    name: str
    what: str
    error: str


@dataclass(frozen=True)
class GateLimits:
    """What a gate lets through.

    Attributes:
        alpha: chance of any false *regressed* in one call. margin: the rise of a failure rate that
            is accepted, 0 to 1. coverage: least share of the items scored before that are scored
            in both. strict: whether what is not shown to be within the margin fails, too.
    """

    alpha: float = 0.05
    margin: float = 0.05
    coverage: float = 0.9
    strict: bool = False


@dataclass(frozen=True, repr=False)
class GateReport(ShortView):
    """The gate's answer.

    Attributes:
        before, after: the two sides in words. checks: every measure that was compared.
        reasons: why it is closed, empty where it is open. notes: what else to know.
    """

    before: str
    after: str
    limits: GateLimits
    checks: list[PairedChange]
    reasons: list[GateReason]
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether the gate is open."""
        return not self.reasons

    def describe(self) -> str:
        """Whether the model may go out, and why not."""
        if self.passed:
            return "The gate is open: the model may go out."
        return (
            "The gate is closed: "
            + "; ".join(f"{reason.name}: {reason.what}" for reason in self.reasons)
            + "."
        )


def judge_changes(changes: Sequence[PairedChange], limits: GateLimits) -> list[GateReason]:
    """Reasons that lie in the measures themselves."""
    reasons = []
    for change in changes:
        figures = describe_change(change)
        if change.status == "worse":
            error = (
                f"adjusted p = {change.adjusted_p:.2g}; any false 'regressed' in this call: at most "
                + write_percent(limits.alpha, 0)
            )
            reasons.append(GateReason("regressed", change.name, f"rises: {figures}", error))
        elif change.status == "too little scored":
            reasons.append(
                GateReason(
                    "too little scored",
                    change.name,
                    _describe_missing(change, limits),
                    "a count, no estimate",
                )
            )
        elif change.status == "unclear" and limits.strict:
            end = "its scale knows no margin" if not change.bounded else (
                f"a rise of more than {100 * limits.margin:g} points is not excluded"
            )  # fmt: skip
            reasons.append(
                GateReason(
                    "not shown to be within the margin",
                    change.name,
                    f"{end}: {figures}",
                    "for want of proof, not a claim; 'within the margin' is false in at most 2.5 %",
                )
            )
    return reasons


def note_unclear(changes: Sequence[PairedChange], limits: GateLimits) -> list[str]:
    """What an open gate did not show."""
    unclear = [change.name for change in changes if change.status == "unclear"]
    if not unclear or limits.strict:
        return []
    names = ", ".join(unclear[:6]) + (f" and {len(unclear) - 6} more" if len(unclear) > 6 else "")
    return [
        f"no regression was shown, and a rise beyond the margin is not excluded for: {names}. More "
        "items would tell; --strict fails on it"
    ]


def describe_change(change: PairedChange) -> str:
    """``4.0 % → 9.0 % of 100, +5.0 [+1.1, +9.2]``."""
    if not change.bounded:
        return (
            f"{change.before:.4g} → {change.after:.4g} of {change.n}, {change.rise:+.4g} "
            f"[{change.low:+.4g}, {change.high:+.4g}]"
        )
    return (
        f"{write_percent(change.before)} → {write_percent(change.after)} of {change.n}, {100 * change.rise:+.1f} points "
        f"[{100 * change.low:+.1f}, {100 * change.high:+.1f}]"
    )


def _describe_missing(change: PairedChange, limits: GateLimits) -> str:
    if not change.n:
        return "no item was scored on both sides"
    parts = [
        f"{write_count(change.n, 'item')} in {write_count(change.groups, 'group')} scored on both sides"
    ]
    if change.lost:
        parts.append(f"{change.lost} were scored before and are unscored now")
    if change.missing:
        parts.append(f"{change.missing} were scored before and were not asked now")
    if change.coverage < limits.coverage:
        parts.append(
            f"{write_percent(change.coverage, 0)} of those scored before, {write_percent(limits.coverage, 0)} wanted"
        )
    else:
        parts.append("fewer than six groups show nothing")
    return "; ".join(parts)
