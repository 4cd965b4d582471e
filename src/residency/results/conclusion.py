"""A run in a few sentences, the same in terminal, report and pages."""

from __future__ import annotations

import math

from residency.results.arm_sentences import tell_arms, tell_falls, together_sentence
from residency.results.headline import describe_changes, openings_sentence, write_headline
from residency.results.issue_results import IssueResult
from residency.results.number_formats import format_percent
from residency.results.replay_sentence import tell_replay
from residency.results.run_results import RunResults
from residency.results.statuses import SIGNIFICANT, count_statuses
from residency.results.units_sentence import tell_run_units


def write_conclusion(results: RunResults) -> list[str]:
    """Is it better, and how do we know; what became of the issues; why the rounds ended."""
    lines = [_issues_sentence(results)]
    lines += [together_sentence(n, row) for n, row in results.arms_together.items()]
    lines += tell_arms(results.arms_tested, results.arms_plan)
    headline = write_headline(results)
    lines.append(headline.sentence)
    # One figure is not all: what got worse is said with every answer, what got better where that is not yes.
    better = {} if headline.answer == "yes" else headline.falls
    lines += describe_changes(better, headline.rises)
    lines += tell_falls(results.falls, {issue.issue.id: issue.title for issue in results.issues})
    lines.append(tell_replay(results.forgetting))
    if share := results.alpha_share.sentence:
        lines.append(share)
    if results.test_openings > 1:
        lines.append(f"Sealed test: {openings_sentence(results.test_openings)}")
    blind = [issue for issue in results.issues if is_blind(issue)]
    if blind:
        few = "1 issue has" if len(blind) == 1 else f"{len(blind)} issues have"
        lines.append(f"{few} too few dev items for any fall to be shown; more dev rows help.")
    lines.append(tell_run_units(results))
    return [line for line in lines if line]


def stop_sentence(results: RunResults) -> str:
    """Why the rounds ended; nothing while they go on."""
    return f"The rounds ended because {results.stopped}." if results.stopped else ""


def is_blind(issue: IssueResult) -> bool:
    """Whether no fall of the issue could be shown on its dev items, by the latest word on it.

    What was told before training is outdated by a verdict.
    """
    if issue.latest is not None:
        return issue.latest.status not in SIGNIFICANT and math.isinf(issue.latest.mde)
    expected = issue.expected
    return expected is not None and (expected.mde is None or math.isinf(expected.mde))


def _issues_sentence(results: RunResults) -> str:
    stop = stop_sentence(results)
    counts = count_statuses(issue.status for issue in results.issues)
    if counts:
        parts = ", ".join(f"{n} {status}" for status, n in counts.items())
        noun = "issue" if len(results.issues) == 1 else "issues"
        return f"{len(results.issues)} {noun}: {parts}. {stop}".strip()
    if not stop:
        return ""
    settings = results.settings.get("diagnose", {})
    return (
        "No issue: no kind of failure reached diagnose.min_rate "
        f"({format_percent(settings.get('min_rate'))}) and diagnose.min_items "
        f"({settings.get('min_items')}) in the part of dev that finds issues. {stop}"
    )
