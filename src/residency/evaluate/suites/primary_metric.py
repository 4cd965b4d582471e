"""The one figure that models are compared by: headline, best model, charts and the arena use it.

A suite may name it (``primary = "exact"``). Otherwise the rules say what the task is: choices are
counted by accuracy, fields by the share that is right, short references by exact match; and every
other task by the share of answers without any fault, in which rules and detectors count alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from residency.errors import SuiteError
from residency.evaluate.suites.format_kind import FORMAT
from residency.evaluate.suites.rule import Rule
from residency.evaluate.suites.rule_registry import suggest_name
from residency.evaluate.suites.suite import Suite
from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.text.lone_values import find_lone_value

FAULTLESS = "faultless"
CHECKS = "checks"
Counted = Literal["faultless", "checks", "rule", "fields"]
_TITLES = {FAULTLESS: "answers without any fault", CHECKS: "checks passed"}
_RULE_TITLES = {
    "exact": "exact match",
    "numeric": "numeric match",
    "choices": "accuracy",
    "fields": "fields right",
}


@dataclass(frozen=True)
class PrimaryMetric:
    """How one answer is counted, from 0 to 1.

    Attributes:
        name: as a suite names it. title: what the figure is, in words.
        counted: ``faultless``: 1 where no check of any rule or detector failed; ``checks``: the
            share of the suite's checks that passed; ``rule``: 1 where every check of ``detector``
            passed; ``fields``: the share of its compared fields that are right.
        detector: whose findings count (``rule`` and ``fields``).
    """

    name: str = FAULTLESS
    title: str = _TITLES[FAULTLESS]
    counted: Counted = "faultless"
    detector: str = ""

    def score_answer(self, response: Response, findings: Sequence[Finding]) -> float | None:
        """The answer's value; None where nothing could be judged (no reference, an error).

        An answer that the token limit cut is a failure, whatever was right so far.
        """
        if response.finish == "error":
            return None
        counted = [finding for finding in findings if self._counts(finding)]
        scored = [finding for finding in counted if finding.status != "unscored"]
        if response.finish == "length" and counted:
            return 0.0
        if not scored:
            return None
        passed = [finding.status == "pass" for finding in scored]
        if self.counted in ("checks", "fields"):
            return sum(passed) / len(passed)
        if not all(passed):
            return 0.0
        # A detector without a finding does not say that the answer is right.
        judged = any(finding.detector.startswith("suite:") for finding in scored)
        return 1.0 if judged else None

    def _counts(self, finding: Finding) -> bool:
        if self.counted == "faultless":
            return True
        if self.counted == "checks":
            return finding.detector.startswith("suite:")
        if self.counted == "fields" and finding.kind == FORMAT:
            return False
        return finding.detector == self.detector


def choose_primary(suite: Suite, examples: Sequence[Example]) -> PrimaryMetric:
    """The metric that the suite names, or the one that its rules and the references ask for.

    Raises:
        SuiteError: ``primary`` names neither a rule of the suite nor a metric.
    """
    if suite.primary:
        return find_metric(suite, suite.primary, suite.source)
    for name in ("choices", "fields", "exact", "numeric"):
        for rule in suite.rules:
            if name != rule.NAME or rule.field or getattr(rule, "compare", True) is False:
                continue
            judged = [e for e in examples if e.reference is not None and rule.applies_to(e)]
            if 2 * len(judged) > len(examples):
                return _make_metric(suite, rule.detector, _name_comparison(rule, judged))
    return PrimaryMetric()


def _name_comparison(rule: Rule, judged: Sequence[Example]) -> str:
    """The rule by whose name the figure goes: ``exact`` by value on numbers is ``numeric``."""
    by_value = getattr(rule, "mode", "") == "value"
    numbers = sum(find_lone_value(e.reference or "") == "number" for e in judged)
    return "numeric" if by_value and 2 * numbers > len(judged) else rule.NAME


def find_metric(suite: Suite, name: str, where: str) -> PrimaryMetric:
    """The metric of that name: ``checks``, ``faultless``, or a rule of the suite.

    Raises:
        SuiteError: there is none; ``where`` it was named.
    """
    if name == CHECKS:
        return PrimaryMetric(CHECKS, _TITLES[CHECKS], "checks")
    if name == FAULTLESS:
        return PrimaryMetric()
    for rule in suite.rules:
        if name in (rule.detector.removeprefix("suite:"), rule.NAME, rule.default_kind):
            return _make_metric(suite, rule.detector, rule.NAME)
    known = [FAULTLESS, CHECKS, *(rule.detector.removeprefix("suite:") for rule in suite.rules)]
    raise SuiteError(
        f"{name!r} is no metric and no rule of the suite{suggest_name(name, known)}",
        where=where,
        next_step=f"one of: {', '.join(dict.fromkeys(known))}",
    )


def _make_metric(suite: Suite, detector: str, rule: str) -> PrimaryMetric:
    name = detector.removeprefix("suite:")
    title = _RULE_TITLES.get(rule, f"answers that pass “{name}”")
    return PrimaryMetric(name, title, "fields" if rule == "fields" else "rule", detector)
