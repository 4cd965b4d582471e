"""The answer that a reader wants first: is it better, and how do you know?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from residency.results.blind_spots import describe_blind_spots, is_blind_score
from residency.results.change_figures import KindChange, PrimaryChange, ScoreChange
from residency.results.kinds import kind_order, kind_words
from residency.results.leading_figures import LeadingFigures, choose_leading_figures
from residency.results.number_formats import format_interval, format_percent, format_points
from residency.results.run_results import RunResults
from residency.results.score_figures import PrimaryFigures
from residency.results.sealed_figures import SealedTest
from residency.results.statuses import SIGNIFICANT, count_statuses
from residency.store.stage_key import StageName
from residency.text.counts import write_count

_BETTER = "Yes, it is better."
_BLIND_BETTER = "The score rose, and it is too blind to say that the answers are better."
Answer = Literal["yes", "no", "worse", "unknown"]


@dataclass(frozen=True)
class Headline:
    """``answer`` and its sentence, what supports it, and what remains wrong.

    ``falls`` and ``rises`` are changes of kinds that stand with everything that was tested
    counted.
    """

    answer: Answer
    sentence: str
    figures_before: LeadingFigures | None = None
    figures_after: LeadingFigures | None = None
    change: ScoreChange | None = None
    label_before: str = ""
    label_after: str = ""
    falls: dict[str, KindChange] = field(default_factory=dict)
    rises: dict[str, KindChange] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    @property
    def lead(self) -> str:
        """The sentence's answer, in the few words that are read first."""
        lead, stop, _ = self.sentence.partition(". ")
        return lead + stop.rstrip()

    @property
    def details(self) -> str:
        """The figures behind the answer: what the sentence says after its lead."""
        return self.sentence.partition(". ")[2]


def write_headline(results: RunResults) -> Headline:
    """From the sealed test where it was opened, otherwise a sentence that says what is missing."""
    counts = count_statuses(issue.status for issue in results.issues)
    test = results.test
    if test is None or not test.ready:
        return Headline("unknown", _unfinished_sentence(results), counts=counts)
    before, after = test.sides[test.reference], test.sides[test.final]
    firm = {
        kind: row
        for kind, row in sorted(before.against_final.items(), key=lambda kv: kind_order(kv[0]))
        if row.status in SIGNIFICANT
    }
    falls = {kind: row for kind, row in firm.items() if row.delta > 0}
    rises = {kind: row for kind, row in firm.items() if row.delta < 0}
    answer, sentence = _answer_sentence(test)
    table = results.sensitivity
    if table is not None:
        if is_blind_score(table) and answer == "yes":
            answer, sentence = "unknown", sentence.replace(_BETTER, _BLIND_BETTER, 1)
        sentence = f"{sentence} {describe_blind_spots(table)}"
    figures_before, figures_after = choose_leading_figures([before.scores, after.scores])
    return Headline(
        answer=answer,
        sentence=sentence,
        figures_before=figures_before,
        figures_after=figures_after,
        change=test.score_change,
        label_before=before.label,
        label_after=after.label,
        falls=falls,
        rises=rises,
        counts=counts,
        reasons=_reasons(results, test, falls, rises),
    )


def _answer_sentence(test: SealedTest) -> tuple[Answer, str]:
    before, after = test.sides[test.reference], test.sides[test.final]
    primary = before.scores.primary, after.scores.primary, test.primary_change
    if primary[0] and primary[1] and primary[2]:
        return _primary_sentence(test, primary[0], primary[1], primary[2])
    was, now, change = before.scores.score, after.scores.score, test.score_change
    if was.mean is None or now.mean is None:
        return "unknown", "Nothing in the sealed test could be scored."
    if change:
        better, worse = change.is_better, change.is_worse
    else:  # without a paired figure: only intervals that do not touch say anything
        better, worse = now.low > was.high, now.high < was.low
    figures = (
        f"{write_count(now.items, 'sealed test item')}, checks passed: {format_percent(was.mean, 0)} "
        f"({before.label}) → {format_percent(now.mean, 0)} ({after.label})"
    )
    if change:
        figures += (
            f": {format_points(change.delta)} points on {write_count(change.n, 'item')} scored in "
            f"both, 95 % interval {format_interval(change.low, change.high, signed=True)}"
        )
    if change and change.one_sided:
        figures += (
            f". {write_count(change.one_sided, 'check')} could be scored on one side alone: with them the "
            f"difference lies between {format_points(change.worst)} and "
            f"{format_points(change.best)} points"
        )
    if min(was.coverage, now.coverage) < 0.995:
        figures += (
            f". {format_percent(was.coverage, 0)} and {format_percent(now.coverage, 0)} of their "
            "checks could be scored"
        )
    if better:
        return "yes", f"{_BETTER} On {figures}."
    if worse:
        return "worse", f"No, it is worse. On {figures}."
    return "no", f"No difference could be shown. On {figures}."


def _primary_sentence(
    test: SealedTest, was: PrimaryFigures, now: PrimaryFigures, change: PrimaryChange
) -> tuple[Answer, str]:
    """The answer by the primary metric; the checks behind it explain it."""
    before, after = test.sides[test.reference], test.sides[test.final]
    # Over the same items, as the difference is: means over different ones tell another story.
    then, later = (was.mean, now.mean) if change.before is None else (change.before, change.after)
    figures = (
        f"{write_count(now.items, 'sealed test item')}, {now.title}: {format_percent(then, 0)} "
        f"({before.label}) → {format_percent(later, 0)} ({after.label}): "
        f"{format_points(change.delta)} points on {write_count(change.n, 'item')} judged on both "
        f"sides, 95 % interval {format_interval(change.low, change.high, signed=True)}"
    )
    if change.one_sided:
        figures += (
            f". {write_count(change.one_sided, 'item')} could be judged on one side alone: with them the "
            f"difference lies between {format_points(change.worst)} and "
            f"{format_points(change.best)} points"
        )
    if closed := after.scores.closed_set:
        figures += (
            f". Macro-F1 {format_percent(closed.macro_f1, 0)}; always answering "
            f"“{closed.majority}” would be right in {format_percent(closed.majority_share, 0)}"
        )
    checks = before.scores.score.mean, after.scores.score.mean
    if now.name != "checks" and checks[0] is not None and checks[1] is not None:
        figures += (
            f". Of the single checks {format_percent(checks[0], 0)} and "
            f"{format_percent(checks[1], 0)} passed"
        )
    if change.is_better and change.worst > 0:
        return "yes", f"{_BETTER} On {figures}."
    if change.is_worse and change.best < 0:
        return "worse", f"No, it is worse. On {figures}."
    return "no", f"No difference in {now.title} could be shown. On {figures}."


def _reasons(
    results: RunResults,
    test: SealedTest,
    falls: Mapping[str, KindChange],
    rises: Mapping[str, KindChange],
) -> list[str]:
    alpha = results.alpha_share.alpha
    items = test.sides[test.reference].scores.score.items
    reasons = [
        f"The test split was sealed: its {write_count(items, 'item')} trained nothing, found no error and "
        f"chose no data. {openings_sentence(results.test_openings)}",
        "Both models answered the same items, and were compared item by item (exact test; "
        "paraphrases of one request counted as one observation). What is said holds for these two "
        "models; what the data did is a question of several trainings.",
        f"The chance of any false “resolved”, “improved” or “regressed” among all issues and "
        f"rounds is at most {format_percent(alpha, 0 if alpha >= 0.05 else 1)}: issues are found on one part of dev and "
        f"measured on the other, and that chance is shared out over the rounds and the sealed test.",
    ]
    if plans := results.results_of_rounds(StageName.PLAN):
        listed = ", ".join(f"{plan['id']} (round {number})" for number, plan in plans.items())
        reasons.append(
            "What would be asked, of which items, with which test and share of that chance, was "
            f"fixed and stored before each training: {listed}."
        )
    reasons += describe_changes(falls, rises)
    still = [issue.title for issue in results.issues if issue.status != "resolved"]
    if still:
        listed = "; ".join(still[:6]) + (f"; and {len(still) - 6} more" if len(still) > 6 else "")
        reasons.append(f"Not shown to be resolved: {listed}.")
    return reasons


def openings_sentence(times: int) -> str:
    """How often the sealed test was opened, and what that means."""
    if times <= 1:
        return "It was opened once."
    return f"It was opened {times} times in this project: its figures are worth less each time."


def describe_changes(falls: Mapping[str, KindChange], rises: Mapping[str, KindChange]) -> list[str]:
    """Which kinds fell and rose on the sealed test, with everything that was tested counted."""
    return [
        f"Failures that {verb} on the sealed test: {_list_rates(list(rows.items()))}."
        for verb, rows in (("fell", falls), ("rose", rises))
        if rows
    ]


def _list_rates(rows: Sequence[tuple[str, KindChange]]) -> str:
    return ", ".join(
        f"{kind_words(kind)} {format_percent(row.before_rate, 0)} → "
        f"{format_percent(row.after_rate, 0)} of {row.n}"
        for kind, row in rows
    )


def _unfinished_sentence(results: RunResults) -> str:
    rounds = len({model.number for model in results.models if model.number})
    done = {0: "no round of training is done", 1: "one round is done"}.get(
        rounds, f"{write_count(rounds, 'round is', 'rounds are')} done"
    )
    return (
        f"Not known yet: the sealed test has not been opened, and {done}. "
        "The command “residency run” goes on from here."
    )
