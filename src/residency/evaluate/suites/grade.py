"""Grading stored responses with a suite: deterministic, and nothing is generated."""

from __future__ import annotations

from collections.abc import Sequence

from residency.errors import SuiteError
from residency.evaluate.suites.rule import Context
from residency.evaluate.suites.suite import Suite
from residency.interfaces import Embedder
from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.response import Response


def grade(
    suite: Suite,
    examples: Sequence[Example],
    responses: Sequence[Response],
    *,
    embedder: Embedder | None = None,
) -> list[Finding]:
    """Pass, fail or unscored for each response and each rule in whose scope it is.

    In the order of the responses, then of the rules. Rules that compare meanings are unscored
    without an ``embedder``. A response that ended in an error is unscored by every rule.

    Raises:
        SuiteError: a response answers an example that is not among ``examples``.
    """
    known = {example.id: example for example in (*suite.examples, *examples)}
    pairs = []
    for response in responses:
        example = known.get(response.example)
        if example is None:
            raise SuiteError(
                f"response {response.id} answers {response.example}, which is not among the "
                f"{len(known)} examples given",
                where=suite.source,
                next_step="grade with the examples that the responses were made from",
            )
        pairs.append((example, response))
    context = Context(embedder)
    findings = []
    for rule in suite.rules:
        scope = [pair for pair in pairs if rule.applies(pair[0])]
        findings += list(rule.grade(scope, context))
    place = {response.id: i for i, response in reversed(list(enumerate(responses)))}
    return sorted(findings, key=lambda finding: place[finding.response])
