"""The answer that a reader wants first: is it better, and how do you know?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from residency.results.run_evidence import Evidence
from residency.results.words import interval, kind_order, kind_words, percent, points

Answer = Literal["yes", "no", "worse", "unknown"]
STANDS = ("resolved", "improved", "regressed")
"""Verdicts that hold with every kind and issue of the sealed test counted as one family."""


@dataclass(frozen=True)
class Headline:
    """``answer`` and its sentence, what supports it, and what remains wrong."""

    answer: Answer
    sentence: str
    score_before: dict[str, Any] | None = None
    score_after: dict[str, Any] | None = None
    change: dict[str, Any] | None = None
    label_before: str = ""
    label_after: str = ""
    falls: list[dict[str, Any]] = field(default_factory=list)
    rises: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)


def headline(evidence: Evidence) -> Headline:
    """From the sealed test where it was opened, otherwise a sentence that says what is missing."""
    counts: dict[str, int] = {}
    for view in evidence.issues:
        counts[view.status] = counts.get(view.status, 0) + 1
    test = evidence.test
    if not test or test["reference"] not in test["sides"] or test["final"] not in test["sides"]:
        return Headline("unknown", _unfinished(evidence), counts=counts)
    before, after = test["sides"][test["reference"]], test["sides"][test["final"]]
    was, now = before["scores"]["score"], after["scores"]["score"]
    changes = [
        {"kind": kind, **row}
        for kind, row in sorted(before["against_final"].items(), key=lambda kv: kind_order(kv[0]))
    ]
    falls = [row for row in changes if row["low"] > 0]
    rises = [row for row in changes if row["high"] < 0]
    answer, sentence = _sentence(was, now, test.get("score_change"), before, after, evidence)
    return Headline(
        answer=answer,
        sentence=sentence,
        score_before=was,
        score_after=now,
        change=test.get("score_change"),
        label_before=before["label"],
        label_after=after["label"],
        falls=falls,
        rises=rises,
        counts=counts,
        reasons=_reasons(evidence, was, falls, rises),
    )


def _sentence(
    was: dict[str, Any],
    now: dict[str, Any],
    change: dict[str, Any] | None,
    before: dict[str, Any],
    after: dict[str, Any],
    evidence: Evidence,
) -> tuple[Answer, str]:
    if was["mean"] is None or now["mean"] is None:
        return "unknown", "Nothing in the sealed test could be scored."
    if change:
        better, worse = change["low"] > 0, change["high"] < 0
    else:  # without a paired figure: only intervals that do not touch say anything
        better, worse = now["low"] > was["high"], now["high"] < was["low"]
    figures = (
        f"{now['items']} sealed test items: {before['label']} passes "
        f"{percent(was['mean'], 0)} of the checks, {after['label']} {percent(now['mean'], 0)}"
    )
    if change:
        figures += (
            f" (difference {points(change['delta'])} points, 95 % interval "
            f"{interval(change['low'], change['high'], signed=True)})"
        )
    if better:
        return "yes", f"Yes, it is better. On {figures}."
    if worse:
        return "worse", f"No, it is worse. On {figures}."
    return "no", f"No difference could be shown. On {figures}."


def _reasons(
    evidence: Evidence,
    was: dict[str, Any],
    falls: list[dict[str, Any]],
    rises: list[dict[str, Any]],
) -> list[str]:
    alpha = evidence.settings.get("diagnose", {}).get("alpha", 0.05)
    times = evidence.test_openings
    opened = "once" if times <= 1 else f"{times} times in this project"
    reasons = [
        f"The test split was sealed: its {was['items']} items trained nothing, found no error and "
        f"chose no data. It was opened {opened}.",
        "Both models answered the same items, and were compared item by item (exact McNemar test, "
        "paraphrases of one request counted as one observation).",
        f"The chance of any false “resolved”, “improved” or “regressed” among all issues and "
        f"rounds is at most {percent(alpha, 0)}: issues are found on one part of dev and measured "
        f"on the other, and looking after every round is paid for.",
    ]
    reasons += what_changed(falls, rises)
    still = [view.title for view in evidence.issues if view.status != "resolved"]
    if still:
        listed = "; ".join(still[:6]) + (f"; and {len(still) - 6} more" if len(still) > 6 else "")
        reasons.append(f"Not shown to be resolved: {listed}.")
    return reasons


def what_changed(falls: list[dict[str, Any]], rises: list[dict[str, Any]]) -> list[str]:
    """Which kinds fell and rose on the sealed test, those that stand apart from the others."""
    told = []
    for verb, rows in (("fell", falls), ("rose", rises)):
        firm = [row for row in rows if row.get("status") in STANDS]
        weak = [row for row in rows if row not in firm]
        if firm:
            told.append(f"Failures that {verb} on the sealed test: {_rates(firm)}.")
        if weak:
            told.append(
                f"Failures that {verb} by their own 95 % interval, but not when everything that "
                f"was tested is counted: {_rates(weak)}."
            )
    return told


def _rates(rows: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{kind_words(row['kind'])} {percent(row['before_rate'], 0)} → "
        f"{percent(row['after_rate'], 0)}"
        for row in rows
    )


def _unfinished(evidence: Evidence) -> str:
    rounds = len({arm.number for arm in evidence.arms if arm.number})
    done = {0: "no round of training is done", 1: "one round is done"}.get(
        rounds, f"{rounds} rounds are done"
    )
    return (
        f"Not known yet: the sealed test has not been opened, and {done}. "
        "The command “residency run” goes on from here."
    )
