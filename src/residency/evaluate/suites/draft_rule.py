"""A rule for a failure mode, drafted from answers that people said have it and from fine ones.

The rule that is shown is drafted from all of them; what is said of it was measured on answers that
it was not drafted from: each half is judged by the rule that the other half drafts.

Answers whose first failure is another one may have this failure too. Still a rule that measures this
failure, and not failing as such, fires less often on them: that is asked as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from residency.errors import SuiteError
from residency.evaluate.judge.agreement import Agreement, measure_agreement
from residency.evaluate.judge.judge import list_verdicts
from residency.evaluate.suites.describe_references import find_structure
from residency.evaluate.suites.grade import grade_responses
from residency.evaluate.suites.rule_registry import make_rule
from residency.evaluate.suites.suite import Suite
from residency.interfaces import Embedder
from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.text.words import list_ngrams, split_words

Table = dict[str, Any]
LEAST_RECALL, LEAST_SPECIFICITY = 0.5, 0.8
LEAST_OTHERS = 5
"""Fewer answers with other failures than this say nothing of how a rule tells failures apart."""
_PHRASES = 8
"""Phrases of either side that are tried."""


@dataclass(frozen=True)
class RuleGrader:
    """Grades answers by one rule as the project's suite reads them: what it extracts, what it passes over."""

    suite: Suite = field(default_factory=lambda: Suite("draft", ()))
    embedder: Embedder | None = None
    keep_reasoning: bool = False

    def judge(
        self, table: Table, examples: Sequence[Example], responses: Sequence[Response]
    ) -> dict[str, bool | None]:
        """Response id → passed every check of the rule; None where it says nothing.

        Raises:
            SuiteError: the table is no rule.
        """
        rule = make_rule(dict(table), where="a drafted rule")
        findings = grade_responses(
            replace(self.suite, rules=(rule,)),
            examples,
            responses,
            embedder=self.embedder,
            keep_reasoning=self.keep_reasoning,
        )
        worst: dict[str, Finding] = {}
        rank = {"fail": 0, "pass": 1, "unscored": 2}
        for finding in findings:
            known = worst.get(finding.response)
            if known is None or rank[finding.status] < rank[known.status]:
                worst[finding.response] = finding
        return list_verdicts(list(worst.values()))


@dataclass(frozen=True)
class RuleDraft:
    """A rule's table, and its agreement with notes that it was not drafted from.

    ``others`` is that with answers of other failures in place of fine ones.
    """

    table: Table
    measured: Agreement
    others: Agreement


def is_good_enough(agreement: Agreement, others: Agreement | None = None) -> bool:
    """Whether a measure of a mode may be believed.

    It finds half of the failing answers or more, lets four of five fine ones pass, and is better
    than chance by Fisher's exact test; and so it is with answers of other failures (``others``) in
    place of fine ones, where there are five.
    """
    is_apart = others is None or others.tp + others.fn < LEAST_OTHERS or others.better_than_chance
    return (
        is_apart
        and agreement.better_than_chance
        and agreement.tnr >= LEAST_RECALL  # people say fail, and so does the rule
        and agreement.tpr >= LEAST_SPECIFICITY
    )


def draft_rule(
    examples: Sequence[Example],
    responses: Sequence[Response],
    labels: Mapping[str, bool],
    grader: RuleGrader,
    *,
    others: Collection[str] = (),
) -> RuleDraft | None:
    """The rule that fits the labels best; None where there are not two answers of each kind.

    Args:
        responses: those that were labelled, and the others. labels: response id → passed (False: has
            the mode). others: ids of responses with another first failure.
    """
    if min(list(labels.values()).count(value) for value in (True, False)) < 2:
        return None
    apart = _label_others(labels, others)
    table = _draft_best(examples, responses, labels, apart, grader)
    if table is None:
        return None
    verdicts: dict[str, bool | None] = {}
    for half in (0, 1):
        half_responses = [r for r in responses if _half_of(r) == half]
        drafted_from = [r for r in responses if _half_of(r) != half]
        some = _draft_best(examples, drafted_from, labels, apart, grader)
        if some is not None:
            verdicts.update(grader.judge(some, examples, half_responses))
    return RuleDraft(
        table, measure_agreement(verdicts, dict(labels)), measure_agreement(verdicts, apart)
    )


def measure_rule(
    table: Table,
    examples: Sequence[Example],
    responses: Sequence[Response],
    labels: Mapping[str, bool],
    grader: RuleGrader,
    *,
    others: Collection[str] = (),
) -> RuleDraft:
    """How far a rule that a person wrote agrees with the notes.

    Raises:
        SuiteError: the table is no rule.
    """
    verdicts = grader.judge(table, examples, responses)
    apart = _label_others(labels, others)
    return RuleDraft(
        table, measure_agreement(verdicts, dict(labels)), measure_agreement(verdicts, apart)
    )


def _label_others(labels: Mapping[str, bool], others: Collection[str]) -> dict[str, bool | None]:
    """Answers with the mode against those with another first failure."""
    return {
        **{key: False for key, fine in labels.items() if not fine},
        **dict.fromkeys(others, True),
    }


def _draft_best(
    examples: Sequence[Example],
    responses: Sequence[Response],
    labels: Mapping[str, bool],
    apart: Mapping[str, bool | None],
    grader: RuleGrader,
) -> Table | None:
    ids = {r.id for r in responses}
    mine = {key: fine for key, fine in labels.items() if key in ids}
    near = {key: label for key, label in apart.items() if key in ids}
    if len(set(mine.values())) < 2:
        return None
    best: tuple[float, Table] | None = None
    for table in _list_candidates(examples, responses, mine):
        try:
            verdicts = grader.judge(table, examples, responses)
        except SuiteError:
            continue
        agreement, others = measure_agreement(verdicts, mine), measure_agreement(verdicts, near)
        if not (agreement.tp + agreement.fn and agreement.tn + agreement.fp):
            continue
        passing = [agreement.tpr]  # of fine ones, and as much of those with other failures
        if others.tp + others.fn >= LEAST_OTHERS:
            passing.append(others.tpr)
        # A label that the rule leaves open counts half: it was not told wrong.
        fit = agreement.tnr + sum(passing) / len(passing) - 1
        value = fit * agreement.n / len(mine)
        if best is None or value > best[0] + 1e-9:
            best = (value, table)
    return best[1] if best is not None and best[0] > 0 else None


def _list_candidates(
    examples: Sequence[Example], responses: Sequence[Response], labels: Mapping[str, bool]
) -> Iterator[Table]:
    """Rules to try, the plain ones first."""
    bad = [r.text for r in responses if labels.get(r.id) is False]
    fine = [r.text for r in responses if labels.get(r.id) is True]
    yield {"rule": "non_empty"}
    lengths = [len(split_words(text)) for text in bad], [len(split_words(text)) for text in fine]
    if min(lengths[0]) > np.median(lengths[1]):
        yield {"rule": "length", "unit": "words", "max": _between(lengths[1], lengths[0])}
    if max(lengths[0]) < np.median(lengths[1]):
        yield {"rule": "length", "unit": "words", "min": _between(lengths[0], lengths[1]) + 1}
    for phrase in _telling_phrases(bad, fine):
        yield {"rule": "stop_words", "words": [phrase]}
    both = _telling_phrases(bad, fine)
    for count in (2, 4):
        if len(both) >= count:
            yield {"rule": "stop_words", "words": both[:count]}
    missing = _telling_phrases(fine, bad)
    for phrase in missing:
        yield {"rule": "contains", "all": [phrase]}
    if len(missing) > 1:
        yield {"rule": "contains", "any": missing[:4]}
    references = [example.reference for example in examples if example.reference]
    if structure := find_structure(references):
        for name in structure.values:
            yield {"rule": "exact", "field": name, "parse": structure.parse}
        for name in structure.values:
            yield {"rule": "similarity", "field": name, "parse": structure.parse, "threshold": 0.7}
    if references:
        yield {"rule": "facts"}
        yield {"rule": "negation"}
        yield {"rule": "language", "language": "reference"}
        yield {"rule": "length", "max_ratio": 2.0}
        yield {"rule": "exact"}
        for threshold in (0.5, 0.6, 0.7, 0.8):
            yield {"rule": "similarity", "threshold": threshold}


def _telling_phrases(here: Sequence[str], there: Sequence[str]) -> list[str]:
    """Phrases of one to three words that stand in many texts here and few there."""

    def count(texts: Sequence[str]) -> dict[str, int]:
        counts: dict[str, int] = {}
        for text in texts:
            words = split_words(text)
            for phrase in {" ".join(map(str, g)) for n in (1, 2, 3) for g in list_ngrams(words, n)}:
                counts[phrase] = counts.get(phrase, 0) + 1
        return counts

    mine, theirs = count(here), count(there)
    weight = {
        phrase: times / len(here) - theirs.get(phrase, 0) / max(len(there), 1)
        for phrase, times in mine.items()
        if times > 1 and len(phrase) > 2
    }
    order = sorted(weight, key=lambda phrase: (-weight[phrase], -len(phrase), phrase))
    return [phrase for phrase in order if weight[phrase] > 0.2][:_PHRASES]


def _between(low: Sequence[int], high: Sequence[int]) -> int:
    """A whole number that parts two lists of lengths as well as one can."""
    points = sorted({*low, *high})
    errors = [(sum(v > p for v in low) + sum(v <= p for v in high), p) for p in points]
    return min(errors)[1]


def _half_of(response: Response) -> int:
    return hashlib.sha256(response.example.encode()).digest()[0] % 2
